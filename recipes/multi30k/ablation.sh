#!/usr/bin/env bash
# One thing at a time from a base, German to English, the same short budget for every row, judged
# on validation: the cell, how c is pooled, the number of layers.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/ablation.sh
source "$(dirname "$0")/../stages.sh"
begin fixed-gru-de-en

BUDGET=(--set training.epochs=2)

learn() {
    seq2seq train "$CONFIG" --out "$RUN" --resume "${BUDGET[@]}" "$@"
}

judge() {
    seq2seq evaluate "$RUN/model" --split valid --beam 1 \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/$RECIPE/ablation.sh"}
}

row() {
    VARIANT=ablation-$1
    RUN=runs/$RECIPE/$VARIANT
    BEFORE=""
    mkdir -p "$RUN.stages"
    shift
    stage train "$CONFIG" -- learn "$@"
    stage judge -- judge
}

row base
row lstm --set encoder.cell=lstm --set decoder.cell=lstm
row pooling-last --set context.pooling=last
row pooling-mean --set context.pooling=mean
row pooling-max --set context.pooling=max
row two-layers --set encoder.layers=2 --set decoder.layers=2
