#!/usr/bin/env bash
# Two processes of one thread against one process of two threads: target tokens a second of the
# standard model, rounds of both in turn, as `seq2seq train` logs them (median over its windows after
# the first two). Nothing else should run.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k [ROUNDS=3] benchmarks/ranks.sh [section.key=value...]
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SEQ2SEQ_DATA:?set it to the folder that holds multi30k/}"
ROUNDS=${ROUNDS:-3}
RUNS=local/ranks
PYTHON=$PWD/.venv/bin/python

settings=(--set training.updates=250 --set training.log_every=25 --set validation.every=100000
    --set validation.metric=loss)
for setting in "$@"; do settings+=(--set "$setting"); done

# timed NAME THREADS COMMAND...
timed() {
    local name=$1 threads=$2
    shift 2
    rm -rf "$RUNS/run"
    "$@" -m seq2seq train benchmarks/standard.toml --out "$RUNS/run" "${settings[@]}" \
        --set "training.threads=$threads" 2> "$RUNS/log"
    $PYTHON - "$name" "$RUNS/run/metrics.jsonl" << 'CODE'
import json
import statistics
import sys

rows = [json.loads(line) for line in open(sys.argv[2])]
speeds = [row["tokens_per_second"] for row in rows if row["kind"] == "train"][2:]
print(f"{sys.argv[1]}: {statistics.median(speeds):,.0f} tokens/s "
      f"({min(speeds):,.0f} to {max(speeds):,.0f})", flush=True)
CODE
}

mkdir -p $RUNS
for ((round = 1; round <= ROUNDS; round++)); do
    timed "one process of two threads" 2 "$PYTHON"
    timed "two processes of one thread" 1 "$PYTHON" -m torch.distributed.run --standalone \
        --nproc-per-node=2
done
