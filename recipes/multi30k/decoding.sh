#!/usr/bin/env bash
# Multi30k: score one model on validation with other searches. Compare the scores with the beam of 5 of
# `run.sh`. This script runs `run.sh` first and does not repeat its finished stages.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/decoding.sh attention-best-en-de
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"
bash "$HERE/run.sh" "$VARIANT"
MADE_BY="recipes/$RECIPE/decoding.sh $VARIANT"

# way NAME OPTION...: score the model on validation with these search options.
way() {
    local name=valid-$1
    shift
    stage "$name" "$RUN/model/model.safetensors" -- score valid "$name" "$@"
}

for beam in 1 2 10 20; do
    way "beam-$beam" --beam "$beam"
done
for alpha in 0.0 0.6 1.4; do
    way "alpha-$alpha" --length-penalty "$alpha"
done
way samples-mbr --sample --mbr 32
for utility in chrf bleu; do
    way "mbr-$utility" --beam 16 --mbr 16 --utility "$utility"
done
