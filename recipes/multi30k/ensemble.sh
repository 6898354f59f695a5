#!/usr/bin/env bash
# Multi30k: score three seeds of a variant as an ensemble, with beam search and with minimum Bayes risk.
# This script runs `run.sh` for each seed first and does not repeat its finished stages.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/ensemble.sh attention-best-en-de
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"

MODELS=()
for seed in "" 2 3; do
    bash "$HERE/run.sh" "$VARIANT" ${seed:+"$seed"}
    MODELS+=("$RUN${seed:+-seed-$seed}/model")
done
MODEL=$(IFS=,; echo "${MODELS[*]}")
MADE_BY="recipes/$RECIPE/ensemble.sh $VARIANT"

# judge NAME SPLIT OPTION...: score the ensemble on a split with these search options.
judge() {
    local name=$1 split=$2
    shift 2
    stage "$name" "${MODELS[@]/%//model.safetensors}" -- score "$split" "$name" "$@" -o "$RUN/$name.txt"
}

for split in valid test; do
    judge "$split-ensemble" "$split"
    judge "$split-ensemble-mbr" "$split" --beam 16 --mbr 16
done
