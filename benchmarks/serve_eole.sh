#!/usr/bin/env bash
# Compare seq2seq serve with the server of Eole 0.6.4 under the same load, with models of the same size:
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k benchmarks/serve_eole.sh [SECONDS [ROUNDS]]
#
# Run benchmarks/decode.sh first. This benchmark uses its environment, its subwords and its models in
# local/: the standard model as int8 exports with and without a shortlist, and Eole's model in fp32.
# The models were trained for a few updates only, so every translation is forced to have 16 tokens.
# In each of ROUNDS (3) rounds, 64 clients send the test set of Multi30k to each server for SECONDS
# (60), first with one text per request, then with 32. The texts for Eole are already split into
# subwords, and Eole uses both cores. By default, Eole translates up to 8 requests together. The
# benchmark also measures Eole with 64. No other program should run at the same time.
set -euo pipefail
cd "$(dirname "$0")/.."
SECONDS_EACH=${1:-60} ROUNDS=${2:-3} TOKENS=16
SYSTEMS=eole
. benchmarks/peers_common.sh
. benchmarks/serve_common.sh
for needed in "$LOCAL"/decode/{int8,shortlist}/export.json "$PEERS/eole/config.json" "$PEERS/test.source"; do
    [ -f "$needed" ] || { echo "error: $needed is missing: run benchmarks/decode.sh first" >&2; exit 1; }
done
environments

case $TEST in *.gz) gzip -dc "$TEST" ;; *) cat "$TEST" ;; esac > "$work/sentences"

# configure REQUESTS: write the configuration of Eole's server. REQUESTS is its batch size.
configure() {
    cat > "$work/server.yaml" << YAML
models_root: $work
models:
  - id: standard
    path: $PEERS/eole
    preload: true
    config:
        beam_size: 5
        batch_size: $1
        batch_type: sents
        min_length: $TOKENS
        max_length: $TOKENS
        max_length_ratio: 0
        compute_dtype: fp32
YAML
}

# both SENTENCES EXPECTED OPTION...: measure with one text per request, then with 32.
both() {
    send load "$@" --seconds "$SECONDS_EACH" --tokens $TOKENS --target de --server "$server"
    send load "$@" --seconds "$SECONDS_EACH" --tokens $TOKENS --target de --server "$server" --texts 32
}

# ours EXPORT: measure seq2seq serve.
ours() {
    local model=$LOCAL/decode/$1
    $PYTHON -m seq2seq translate "$model" "$work/sentences" -o "$work/expected" --jobs 1 \
        --min-length $TOKENS --max-length $TOKENS 2> /dev/null
    start "http://127.0.0.1:$PORT/ready" \
        $PYTHON -m seq2seq -q serve en-de="$model" --port "$PORT"
    both "$work/sentences" "$work/expected" --api v1
    stop
}

# eole REQUESTS: measure Eole's server.
eole() {
    configure "$1"
    OMP_NUM_THREADS=2 start "http://127.0.0.1:$PORT/health" \
        "$LOCAL/eole/bin/python" -c "from eole.bin.main import main; main()" \
        serve --config "$work/server.yaml" --host 127.0.0.1 --port "$PORT" > "$work/eole.log" 2>&1
    both "$PEERS/test.source" "$PEERS/test.source" --api eole
    stop
}

for ((round = 1; round <= ROUNDS; round++)); do
    for chosen in "ours int8" "ours shortlist" "eole 8" "eole 64"; do
        echo "== round $round: $chosen"
        $chosen
    done
done
