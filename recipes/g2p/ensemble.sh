#!/usr/bin/env bash
# Letters to phones: train several seeds of a variant for each language, score them as an ensemble on validation, and
# print the mean word error rate (WER) of the languages. This script runs `run.sh` for each seed first and does not
# repeat its finished stages.
#
#   SEQ2SEQ_DATA=folder-that-holds-sigmorphon2021_g2p recipes/g2p/ensemble.sh low [SEEDS [LANGUAGE...]]
#   TEST=1 ... recipes/g2p/ensemble.sh low [SEEDS [LANGUAGE...]]    # also scores the test sets
#
# SEEDS is the number of models in an ensemble (default: 5).
source "$(dirname "$0")/../stages.sh"
COUNT=${2:-5}
[[ -f $HERE/${1:-}.toml && $COUNT =~ ^[1-9][0-9]*$ ]] ||
    fail "usage: recipes/g2p/ensemble.sh VARIANT [SEEDS [LANGUAGE...]], VARIANT is low, medium or high, SEEDS a number"
LANGUAGES=("${@:3}")
[ $# -gt 2 ] || languages_in "sigmorphon2021_g2p/$1"
score_ensembles "$COUNT" "$1" "$1" "${LANGUAGES[@]}"
