#!/usr/bin/env bash
# The Time Machine: train a language model on 10,000 characters, print its perplexity, and generate a
# continuation.
#
#   SEQ2SEQ_DATA=folder-that-holds-timemachine recipes/time-machine/run.sh gru [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
prepare timemachine/timemachine.txt
stage train "$CONFIG" "$DATA"/train.txt -- train_run
stage training-text "$DATA"/train.txt -- score valid valid
stage held-out "$DATA"/rest.txt -- score test test
echo
seq2seq generate "$RUN/model" --prompt "time traveller" --length 120 --temperature 0.5
