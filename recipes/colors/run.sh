#!/usr/bin/env bash
# Colours: train a model that names colours, and draw ten colours of the test set with the names that
# the model gives.
#
#   SEQ2SEQ_DATA=folder-that-holds-color_names recipes/colors/run.sh base [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
prepare color_names/colornames.csv

names() {
    sed -n '2,11p' "$DATA/test.tsv" > "$RUN/ten.tsv"
    cut -f 1 "$RUN/ten.tsv" | while read -r colour; do
        seq2seq generate "$RUN/model" --given "$colour" --number 1 --temperature 0.5
    done > "$RUN/ten.names"
    python3 "recipes/$RECIPE/swatches.py" "$RUN/ten.tsv" "$RUN/ten.names" "$RUN/ten.png"
}

stage train "$CONFIG" "$DATA"/*.tsv -- train_run
stage valid "$DATA"/valid.tsv -- score valid valid
stage test "$DATA"/test.tsv -- score test test
stage names "$DATA"/test.tsv -- names
echo "$RUN/ten.png: ten colours of the test set, with the names that the model gave"
