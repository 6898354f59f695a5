#!/usr/bin/env bash
# Inflection: train several seeds of a variant for each language, score them as an ensemble on the dev set, and
# print the mean word error rate (WER) of the languages. This script runs `run.sh` for each seed first and does
# not repeat its finished stages.
#
#   export SEQ2SEQ_DATA=folder-that-holds-sigmorphon2023_inflection
#   recipes/inflection/ensemble.sh VARIANT [SEEDS [LANGUAGE...]]
#   TEST=1 recipes/inflection/ensemble.sh VARIANT [SEEDS [LANGUAGE...]]    # also scores the test sets
#
# SEEDS is the number of models in an ensemble (default: 3).
source "$(dirname "$0")/../stages.sh"
COUNT=${2:-3}
[[ -n ${1:-} && $COUNT =~ ^[1-9][0-9]*$ ]] ||
    fail "usage: recipes/inflection/ensemble.sh VARIANT [SEEDS [LANGUAGE...]], SEEDS is a number"
LANGUAGES=(deu fin hun swa tur)
if [ $# -gt 2 ]; then
    LANGUAGES=("${@:3}")
fi
score_ensembles "$COUNT" "$1" base "${LANGUAGES[@]}"
