#!/usr/bin/env bash
# The classic exercise: learn 10,000 characters of The Time Machine, say how well, write on.
#
#   SEQ2SEQ_DATA=folder-that-holds-timemachine recipes/time-machine/run.sh gru
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"
: "${SEQ2SEQ_DATA:?set it to the folder that holds timemachine/}"

DATA=runs/$RECIPE/data

score() {
    seq2seq evaluate "$RUN/model" --split "$1" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/$RECIPE/run.sh $VARIANT"} |
        tee "$RUN/$1.scores"
}

mkdir -p "$DATA.stages"
[ -d "$DATA" ] || rm -f "$DATA.stages/data"
RUN=$DATA stage data "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/timemachine/timemachine.txt" -- \
    python3 "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/timemachine/timemachine.txt" "$DATA"
stage train "$CONFIG" "$DATA"/train.txt -- train_run
stage training-text "$DATA"/train.txt -- score valid
stage held-out "$DATA"/rest.txt -- score test

echo
echo "perplexity of the text that was learned, and of the rest of the book"
sed -n '/^perplexity/s/^/  /p' "$RUN/valid.scores" "$RUN/test.scores"
echo
seq2seq generate "$RUN/model" --prompt "time traveller" --length 120 --temperature 0.5
