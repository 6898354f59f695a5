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
together=$(IFS=,; echo "${MODELS[*]}")

# judge NAME SPLIT OPTION...
judge() {
    local name=$1 split=$2
    shift 2
    stage "$name" "${MODELS[@]/%//model.safetensors}" -- evaluate "$name" --split "$split" "$@"
}

evaluate() {
    local name=$1
    shift
    seq2seq evaluate "$together" "$@" -o "$RUN/$name.txt" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/$RECIPE/ensemble.sh $VARIANT"}
}

for split in valid test; do
    judge "$split-ensemble" "$split"
    judge "$split-ensemble-mbr" "$split" --beam 16 --mbr 16
done
