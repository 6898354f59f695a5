#!/usr/bin/env bash
# Distil an ensemble into one network. Three seeds of a variant of recipes/multi30k translate the training
# set together. One network of the same kind learns from the training set and from these translations.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k-distilled/run.sh attention-best-en-de [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"

TEACHERS=()
for seed in "" 2 3; do
    bash recipes/multi30k/run.sh "$VARIANT" ${seed:+"$seed"}
    TEACHERS+=("runs/multi30k/$VARIANT${seed:+-seed-$seed}/model")
done

corpus multi30k
shared_data "$VARIANT" recipes/$RECIPE/prepare.py recipes/multi30k/$VARIANT.toml \
    "${TEACHERS[@]/%//model.safetensors}" ${CORPUS[@]+"${CORPUS[@]}"} -- \
    python3 "recipes/$RECIPE/prepare.py" "recipes/multi30k/$VARIANT.toml" \
    "runs/$RECIPE/data/$VARIANT" "${TEACHERS[@]}"
stage train "$CONFIG" "$DATA"/train.* ${CORPUS[@]+"${CORPUS[@]}"} -- train_run
score_translator
