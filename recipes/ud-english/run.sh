#!/usr/bin/env bash
# English EWT (Universal Dependencies): train a part-of-speech tagger, and score it on the test set.
#
#   SEQ2SEQ_DATA=folder-that-holds-ud_english_ewt recipes/ud-english/run.sh base [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
corpus ud_english_ewt
stage train "$CONFIG" ${CORPUS[@]+"${CORPUS[@]}"} -- train_run
stage valid -- score valid valid
stage test -- score test test --plot "$RUN/confusion.png"
