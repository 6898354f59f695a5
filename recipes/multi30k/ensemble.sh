#!/usr/bin/env bash
# Multi30k: score three seeds of a variant as an ensemble, with beam search and with minimum Bayes risk.
# This script runs `run.sh` for each seed first and does not repeat its finished stages.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k/ensemble.sh attention-best-en-de
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"

train_seeds 3 "$VARIANT"
MADE_BY="recipes/$RECIPE/ensemble.sh $VARIANT"
for split in valid test; do
    score_seeds "$split" "$split-ensemble"
    score_seeds "$split" "$split-ensemble-mbr" --beam 16 --mbr 16
done
