#!/usr/bin/env bash
# Penn Treebank: train a language model, and print its perplexity on the test set.
#
#   SEQ2SEQ_DATA=folder-that-holds-ptb_lm recipes/ptb/run.sh lstm [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
corpus ptb_lm
stage train "$CONFIG" ${CORPUS[@]+"${CORPUS[@]}"} -- train_run
stage valid -- score valid valid
stage test -- score test test
