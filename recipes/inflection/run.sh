#!/usr/bin/env bash
# Inflection (SIGMORPHON-UniMorph 2023, task 0): train a model of one language and score it on validation.
#
#   SEQ2SEQ_DATA=folder-that-holds-sigmorphon2023_inflection recipes/inflection/run.sh swa [SEED]
#   TEST=1 ... recipes/inflection/run.sh swa [SEED]    # also scores the test set
source "$(dirname "$0")/../stages.sh"
case ${1:-} in
    deu | fin | hun | swa | tur) ;;
    *) fail "usage: recipes/inflection/run.sh LANGUAGE [SEED], one of: deu fin hun swa tur" ;;
esac
begin base "${2:-}" "$1"
FILES=sigmorphon2023_inflection/$1
needs "$FILES.trn.gz"
MADE_BY="recipes/$RECIPE/run.sh $1${SEED:+ $SEED}"
SPLITS=()
for split in train:trn valid:dev test:tst; do
    SPLITS+=(--set "data.${split%:*}=$FILES.${split#*:}")
done

stage train "$CONFIG" "$SEQ2SEQ_DATA/$FILES".{trn,dev}.gz -- train_run "${SPLITS[@]}"
stage valid -- score valid valid-beam5 -o "$RUN/valid-beam5.txt"
[ -z "${TEST:-}" ] || stage test -- score test test-beam5 -o "$RUN/test-beam5.txt"
head -n 5 "$RUN/valid-beam5.scores"
