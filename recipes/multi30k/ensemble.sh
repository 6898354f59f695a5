#!/usr/bin/env bash
# Multi30k: three seeds of a variant, as an ensemble, and their translations chosen by minimum Bayes
# risk. What `run.sh` has made of them is not made again.
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

# judge NAME SPLIT OPTION...
judge() {
    local name=$1 split=$2
    shift 2
    stage "$name" "${MODELS[@]/%//model.safetensors}" -- score "$split" "$name" "$@" -o "$RUN/$name.txt"
}

for split in valid test; do
    judge "$split-ensemble" "$split"
    judge "$split-ensemble-mbr" "$split" --beam 16 --mbr 16
done
