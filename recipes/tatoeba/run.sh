#!/usr/bin/env bash
# Tatoeba, German and English: train a variant, choose its weights on validation, and score the test set
# once.
#
#   SEQ2SEQ_DATA=folder-that-holds-tatoeba_deu_eng recipes/tatoeba/run.sh attention-de-en [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
prepare tatoeba_deu_eng
stage train "$CONFIG" "$DATA"/train.de "$DATA"/train.en -- train_run
score_translator
