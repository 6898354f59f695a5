#!/usr/bin/env bash
# Surnames: train a classifier of nationalities (classify), or a generator of surnames for a given
# nationality (generate).
#
#   SEQ2SEQ_DATA=folder-that-holds-names_nationality recipes/names/run.sh classify|generate [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
prepare names_nationality
stage train "$CONFIG" "$DATA"/*.tsv -- train_run
stage valid "$DATA"/valid.tsv -- score valid valid
if [ "$VARIANT" = classify ]; then
    stage test "$DATA"/test.tsv -- score test test --plot "$RUN/confusion.png"
    exit
fi
stage test "$DATA"/test.tsv -- score test test
for nationality in Arabic English German Italian Japanese Russian; do
    written=$(seq2seq generate "$RUN/model" --given "$nationality" --number 5 --temperature 0.7)
    echo "$nationality: ${written//$'\n'/ }"
done
