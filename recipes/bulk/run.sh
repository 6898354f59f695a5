#!/usr/bin/env bash
# Translate all files of a folder with a local cluster of two workers, or on the Ray cluster $RAY_ADDRESS.
#
#   recipes/bulk/run.sh MODEL INPUT OUTPUT [OPTION...]                     # two workers on this machine
#   RAY_ADDRESS=HOST:6379 recipes/bulk/run.sh MODEL INPUT OUTPUT [OPTION...]  # all cores of the cluster
#
# If the script is stopped, run it again: it keeps the files that are finished. WORKERS sets another number of
# workers, and OPTION is any option of seq2seq bulk.
source "$(dirname "$0")/../stages.sh"

[ $# -ge 3 ] || fail "usage: recipes/bulk/run.sh MODEL INPUT OUTPUT [OPTION...]"
MODEL=$1 INPUT=$2 OUTPUT=$3
shift 3
command -v seq2seq > /dev/null ||
    fail "seq2seq is not installed here: run 'make setup', then '. .venv/bin/activate'"
[ -n "${RAY_ADDRESS:-}" ] || WORKERS=${WORKERS:-2}

seq2seq bulk "$MODEL" "$INPUT" -o "$OUTPUT" --workers "${WORKERS:-0}" "$@"
