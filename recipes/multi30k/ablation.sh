#!/usr/bin/env bash
# One thing at a time from a base, the same short budget for every row, judged on validation.
#
#   fixed      German to English: the cell, how c is pooled, the number of layers
#   attention  English to German: the score, and the placement of the question
#   precision  English to German: bf16 beside fp32, three seeds each
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/ablation.sh [fixed|attention|precision]
source "$(dirname "$0")/../stages.sh"

study() {
    begin "$1"
    MADE_BY="recipes/$RECIPE/ablation.sh"
    shift
    BUDGET=("$@")
}

row() {
    VARIANT=ablation-$1
    RUN=runs/$RECIPE/$VARIANT
    BEFORE=""
    mkdir -p "$RUN.stages"
    shift
    stage train "$CONFIG" -- train_run "${BUDGET[@]}" "$@"
    stage judge -- score valid judge --beam 1
}

fixed() {
    study fixed-gru-de-en --set training.epochs=2
    row base
    row lstm --set encoder.cell=lstm --set decoder.cell=lstm
    row pooling-last --set context.pooling=last
    row pooling-mean --set context.pooling=mean
    row pooling-max --set context.pooling=max
    row two-layers --set encoder.layers=2 --set decoder.layers=2
}

# A short training needs no subword sampling, and an average that follows at once.
SHORT=(--set tokenizer.sampling=0.0 --set training.average_decay=0.99)

attention() {
    study attention-en-de --set training.epochs=2 "${SHORT[@]}"
    for placement in parallel classic; do
        for kind in multi-head additive general; do
            row "$kind-$placement" --set context.kind=$kind --set context.placement=$placement
        done
    done
    # Who is first after two epochs need not be later.
    study attention-en-de --set training.epochs=8 "${SHORT[@]}"
    for kind in general multi-head additive; do
        row "$kind-8-epochs" --set context.kind=$kind
    done
}

precision() {
    study attention-en-de --set training.epochs=2 "${SHORT[@]}"
    for seed in 1 2 3; do
        for precision in bf16 fp32; do
            row "$precision-seed-$seed" --set seed=$seed --set training.precision=$precision
        done
    done
}

case "${1:-all}" in
    all)
        fixed
        attention
        precision
        ;;
    fixed | attention | precision) "$1" ;;
    *) fail "usage: recipes/multi30k/ablation.sh [fixed|attention|precision]" ;;
esac
