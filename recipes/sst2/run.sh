#!/usr/bin/env bash
# SST-2: train a sentence classifier, and score it on the test set.
#
#   SEQ2SEQ_DATA=folder-that-holds-sentence_cls recipes/sst2/run.sh base [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
prepare sentence_cls
stage train "$CONFIG" "$DATA"/*.tsv -- train_run
stage valid "$DATA"/valid.tsv -- score valid valid
stage test "$DATA"/test.tsv -- score test test --plot "$RUN/confusion.png"
