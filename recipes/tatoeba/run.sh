#!/usr/bin/env bash
# Tatoeba, German and English: train a variant, choose it on validation, and read the test set once.
#
#   SEQ2SEQ_DATA=folder-that-holds-tatoeba_deu_eng recipes/tatoeba/run.sh attention-de-en [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
prepare tatoeba_deu_eng
stage train "$CONFIG" "$DATA"/train.de "$DATA"/train.en -- train_run
for how in "valid 5" "test 1" "test 5"; do
    read -r split beam <<< "$how"
    name=$split-beam$beam
    stage "$name" -- score "$split" "$name" --beam "$beam" \
        -o "$RUN/$name.txt" --plot "$RUN/$name.png"
done
cat "$RUN/test-beam5.scores"
