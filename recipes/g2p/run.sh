#!/usr/bin/env bash
# Letters to phones (SIGMORPHON 2021, task 1): train a model of one language and score it on validation.
#
#   SEQ2SEQ_DATA=folder-that-holds-sigmorphon2021_g2p recipes/g2p/run.sh low ady [SEED]
#   TEST=1 ... recipes/g2p/run.sh low ady [SEED]    # also scores the test set
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${3:-}" "${2:-}"
FILES=sigmorphon2021_g2p/$VARIANT/${2:-}
[ -n "${2:-}" ] || fail "usage: recipes/$RECIPE/run.sh VARIANT LANGUAGE [SEED], such as run.sh low ady"
needs "${FILES}_train.tsv.gz"
SETTINGS=()
# A Korean syllable is one composed character. As letters, syllables that are rare in training can be read.
[ "$2" != kor ] || SETTINGS=(--set tokenizer.source.normalization=nfd)
MADE_BY="recipes/$RECIPE/run.sh $VARIANT $2${SEED:+ $SEED}"
SPLITS=()
for split in train:train valid:dev test:test; do
    SPLITS+=(--set "data.${split%:*}=${FILES}_${split#*:}.tsv")
done

stage train "$CONFIG" "$SEQ2SEQ_DATA/${FILES}"_{train,dev}.tsv.gz -- \
    train_run "${SPLITS[@]}" ${SETTINGS[@]+"${SETTINGS[@]}"}
stage valid -- score valid valid-beam5 --length-penalty 0 -o "$RUN/valid-beam5.txt"
[ -z "${TEST:-}" ] || stage test -- score test test-beam5 --length-penalty 0 -o "$RUN/test-beam5.txt"
head -n 3 "$RUN/valid-beam5.scores"
