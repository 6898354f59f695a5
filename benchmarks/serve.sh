#!/usr/bin/env bash
# Load seq2seq serve with many clients, and compare every answer with seq2seq translate:
#
#   benchmarks/serve.sh EXPORT SENTENCES [SECONDS [LOAD...]]
#
# EXPORT translates from en to fr. Each LOAD takes SECONDS (60). Nothing else should run. All loads
# run by default:
#
#   latency  one client that sends one text after the other
#   load     64 clients, one text per request
#   texts    64 clients, 32 texts per request; then seq2seq translate in one process, for comparison
#   mixed    one client, while the server translates a text of 2,000 lines
#
# With 64 clients, the benchmark measures the memory of all processes of the server every ten seconds.
# It prints how much the memory changes from one minute after the start to the end.
set -euo pipefail
EXPORT=$(realpath "$1") SENTENCES=$(realpath "$2") SECONDS_EACH=${3:-60}
LOADS=("${@:4}")
[ ${#LOADS[@]} -gt 0 ] || LOADS=(latency load texts mixed)
cd "$(dirname "$0")/.."
. benchmarks/serve_common.sh

$PYTHON -m seq2seq translate "$EXPORT" "$SENTENCES" -o "$work/expected" --jobs 1
begun=$(date +%s.%N)
start "http://127.0.0.1:$PORT/ready" \
    $PYTHON -m seq2seq -q serve en-fr="$EXPORT" --port "$PORT"
echo "ready after $(echo "$(date +%s.%N) - $begun" | bc) s"

load() {
    local mode=$1
    shift
    send "$mode" "$SENTENCES" "$work/expected" --seconds "$SECONDS_EACH" "$@"
}

# The same number of sentences in one process, without the server.
translate() {
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
}

for chosen in "${LOADS[@]}"; do
    case $chosen in
        latency | mixed) load "$chosen" ;;
        load) load load --server "$server" ;;
        texts) load load --server "$server" --texts 32 && translate ;;
        *) echo "error: unknown load $chosen: use latency, load, texts or mixed" >&2 && exit 2 ;;
    esac
done
