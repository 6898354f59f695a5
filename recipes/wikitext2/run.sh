#!/usr/bin/env bash
# WikiText-2: train a language model, and print its perplexity on the test set.
#
#   SEQ2SEQ_DATA=folder-that-holds-wikitext2 recipes/wikitext2/run.sh lstm [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
corpus wikitext2
stage train "$CONFIG" ${CORPUS[@]+"${CORPUS[@]}"} -- train_run
stage valid -- score valid valid
stage test -- score test test
