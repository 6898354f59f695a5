#!/usr/bin/env bash
# Load seq2seq serve with many clients, and compare every answer with seq2seq translate:
#
#   benchmarks/serve.sh EXPORT SENTENCES [SECONDS]
#
# EXPORT translates from en to fr. Each of the four loads takes SECONDS (60). Nothing else should
# run. The last two lines compare the throughput with seq2seq translate in one process.
set -euo pipefail
EXPORT=$(realpath "$1") SENTENCES=$(realpath "$2") SECONDS_EACH=${3:-60}
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python} PORT=${PORT:-5077}
export PYTHONPATH=$PWD OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'kill "$server" 2> /dev/null; rm -rf "$work"' EXIT

$PYTHON -m seq2seq translate "$EXPORT" "$SENTENCES" -o "$work/expected" --jobs 1
$PYTHON -m seq2seq -q serve en-fr="$EXPORT" --port "$PORT" &
server=$!
begun=$(date +%s.%N)
until $PYTHON -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$PORT/ready')" 2> /dev/null; do
    kill -0 "$server"
done
echo "ready after $(echo "$(date +%s.%N) - $begun" | bc) s"

load() {
    local mode=$1
    shift
    $PYTHON benchmarks/serve.py "$mode" "127.0.0.1:$PORT" "$SENTENCES" "$work/expected" \
        --seconds "$SECONDS_EACH" "$@"
}
load latency
load load
load load --texts 32
load mixed

# The same number of sentences in one process, without the server.
for _ in $(seq 20); do cat "$SENTENCES"; done > "$work/many"
$PYTHON - "$EXPORT" "$work/many" << 'CODE'
import sys
import time

import seq2seq

translator = seq2seq.Translator.load(sys.argv[1])
lines = open(sys.argv[2], encoding="utf-8").read().split("\n")[:-1]
translator.translate(lines[:200])
started = time.perf_counter()
translator.translate(lines)
seconds = time.perf_counter() - started
print(f"seq2seq translate, one process: {len(lines) / seconds:.0f} texts per second")
CODE
