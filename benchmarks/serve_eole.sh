#!/usr/bin/env bash
# The same load on seq2seq serve and on the server of Eole 0.6.4, with models of the same size:
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k benchmarks/serve_eole.sh [SECONDS [ROUNDS]]
#
# Takes the environment, the subwords and the models of benchmarks/decode.sh in local/, which has to
# run first: the standard model as an int8 export, and Eole's with fp32. Both were trained for a few
# updates only, so every translation is forced to have 16 tokens. Each of ROUNDS (3) rounds sends
# the test set of Multi30k to both servers from 64 clients for SECONDS (60) each: one text a
# request, then 32. Eole gets subwords, batches of 64 requests, and both cores; the default is 8
# requests, and it waits up to 0.1 s for them. Nothing else should run.
set -euo pipefail
cd "$(dirname "$0")/.."
SECONDS_EACH=${1:-60} ROUNDS=${2:-3} TOKENS=16
SYSTEMS=eole
. benchmarks/peers_common.sh
. benchmarks/serve_common.sh
ours=$LOCAL/decode/int8
for needed in "$ours/export.json" "$PEERS/eole/config.json" "$PEERS/test.source"; do
    [ -f "$needed" ] || { echo "run benchmarks/decode.sh first: $needed is missing" >&2; exit 1; }
done
environments

case $TEST in *.gz) gzip -dc "$TEST" ;; *) cat "$TEST" ;; esac > "$work/sentences"
$PYTHON -m seq2seq translate "$ours" "$work/sentences" -o "$work/expected" --jobs 1 \
    --min-length $TOKENS --max-length $TOKENS 2> /dev/null
cat > "$work/server.yaml" << YAML
models_root: $work
models:
  - id: standard
    path: $PEERS/eole
    preload: true
    config:
        beam_size: 5
        batch_size: 64
        batch_type: sents
        min_length: $TOKENS
        max_length: $TOKENS
        max_length_ratio: 0
        compute_dtype: fp32
YAML

# both SENTENCES EXPECTED OPTION...: one text a request, then 32.
both() {
    send load "$@" --seconds "$SECONDS_EACH" --tokens $TOKENS --target de --server "$server"
    send load "$@" --seconds "$SECONDS_EACH" --tokens $TOKENS --target de --server "$server" --texts 32
}

for ((round = 1; round <= ROUNDS; round++)); do
    echo "== round $round: seq2seq serve"
    start "http://127.0.0.1:$PORT/ready" \
        $PYTHON -m seq2seq -q serve en-de="$ours" --port "$PORT"
    both "$work/sentences" "$work/expected" --api v1
    stop
    echo "== round $round: Eole"
    OMP_NUM_THREADS=2 start "http://127.0.0.1:$PORT/health" \
        "$LOCAL/eole/bin/python" -c "from eole.bin.main import main; main()" \
        serve --config "$work/server.yaml" --host 127.0.0.1 --port "$PORT" > "$work/eole.log" 2>&1
    both "$PEERS/test.source" "$PEERS/test.source" --api eole
    stop
done
