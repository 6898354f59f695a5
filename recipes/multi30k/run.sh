#!/usr/bin/env bash
# Multi30k: train a variant, choose it on validation, and read the test set once.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/run.sh fixed-gru-de-en
#
# Without the files, en-de and de-en are read from the Hugging Face hub (bentrevett/multi30k).
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"

# Each row goes to the run's own results.jsonl; with RECORD=1 to the recipe's too, which refuses
# uncommitted changes.
score() {
    local split=$1 name=$2
    shift 2
    seq2seq evaluate "$RUN/model" --split "$split" "$@" -o "$RUN/$name.txt" \
        --plot "$RUN/$name.png" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/$RECIPE/run.sh $VARIANT"} |
        tee "$RUN/$name.scores"
}

stage train "$CONFIG" -- train_run
stage valid-beam5 -- score valid valid-beam5 --beam 5
stage test-greedy -- score test test-greedy --beam 1
stage test-beam5 -- score test test-beam5 --beam 5
cat "$RUN/test-beam5.scores"
