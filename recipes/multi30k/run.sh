#!/usr/bin/env bash
# Multi30k: train a variant, choose its weights on validation, and score the test set once.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/run.sh fixed-best-de-en [SEED]
#
# Without the files, the variants en-de and de-en read their data from the Hugging Face hub
# (bentrevett/multi30k).
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"

corpus multi30k
stage train "$CONFIG" ${CORPUS[@]+"${CORPUS[@]}"} -- train_run
score_translator
