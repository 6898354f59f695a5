#!/usr/bin/env bash
# Inflection (SIGMORPHON-UniMorph 2023, task 0): train a model of one language and score it on the dev set.
#
#   SEQ2SEQ_DATA=folder-that-holds-sigmorphon2023_inflection recipes/inflection/run.sh VARIANT swa [SEED]
#   TEST=1 ... recipes/inflection/run.sh VARIANT swa [SEED]    # also scores the test set
#
# The variants:
#   base                 a model with attention
#   copying              a model that can also copy letters of the lemma, with word dropout
#   monotonic            hard monotonic attention
#   transducer           a decoder that edits the lemma from left to right
#   copying-transducer   the same, and it can also copy letters of the lemma; with word dropout
# Each of these changes the data of base:
#   copied               10,000 more training rows, which copy a form, and half as many epochs
#   hallucinated         10,000 more training rows, whose stems are random letters (prepare.py), and half as many epochs
#   spelled              the source is the text of the features, a space and the lemma
# This variant changes the data of copying-transducer:
#   distilled            an ensemble of the seeds 1 to 3 of copying-transducer adds at most 10,000 training rows: forms of
#                        the training lemmas that the training set does not contain. As many updates as without them.
source "$(dirname "$0")/../stages.sh"
SETTINGS=()
COPYING=(--set decoder.copying=true --set training.word_dropout=0.05)
case ${1:-} in
    base) ;;
    copied | hallucinated) SETTINGS=(--set training.epochs=10) ;;
    spelled) SETTINGS=(--set training.batch_tokens=800) ;;  # about as many rows as 400 tokens of base
    copying) SETTINGS=("${COPYING[@]}") ;;
    monotonic | transducer) SETTINGS=(--set "context.kind=$1") ;;
    copying-transducer) SETTINGS=(--set context.kind=transducer "${COPYING[@]}") ;;
    distilled) SETTINGS=(--set context.kind=transducer "${COPYING[@]}" --set training.updates=8800) ;;
    *) fail "usage: recipes/inflection/run.sh VARIANT LANGUAGE [SEED], VARIANT is one of: base copying monotonic transducer copying-transducer copied hallucinated spelled distilled" ;;
esac
case ${2:-} in
    deu | fin | hun | swa | tur) ;;
    *) fail "usage: recipes/inflection/run.sh $1 LANGUAGE [SEED], LANGUAGE is one of: deu fin hun swa tur" ;;
esac

# rewrite PROGRAM: write each split as changed by a program of awk, which knows the SPLIT.
rewrite() {
    local split
    mkdir -p "$RUN"
    for split in trn dev tst; do
        gunzip -c "$SEQ2SEQ_DATA/$FILES.$split.gz" |
            awk -F '\t' -v OFS='\t' -v SPLIT="$split" "$1" > "$RUN/$split"
    done
}

# distil TRAIN MODELS: write the rows of TRAIN, and rows with forms that the ensemble MODELS writes.
distil() {
    mkdir -p "$RUN"
    python3 "recipes/$RECIPE/prepare.py" cells "$1" 10000 "$RUN/cells"
    seq2seq translate "$2" "$RUN/cells" --length-penalty 0 -o "$RUN/forms"
    { gunzip -c "$1"; paste "$RUN/cells" "$RUN/forms"; } > "$RUN/trn"
}

begin "$1" "${3:-}" "$2" base
FILES=sigmorphon2023_inflection/$2
needs "$FILES.trn.gz"
MADE_BY="recipes/$RECIPE/run.sh $1 $2${SEED:+ $SEED}"
SPLITS=(--set "data.train=$FILES.trn" --set "data.valid=$FILES.dev" --set "data.test=$FILES.tst")
case $1 in
    hallucinated)
        shared_data "$2" "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/$FILES.trn.gz" -- \
            python3 "recipes/$RECIPE/prepare.py" hallucinate "$SEQ2SEQ_DATA/$FILES.trn.gz" 10000 "runs/$RECIPE/data/$2/train.tsv"
        SPLITS[1]=data.train=$PWD/$DATA/train.tsv
        ;;
    distilled)
        TEACHERS=(runs/inflection/copying-transducer-"$2"{,-seed-2,-seed-3}/model)
        for teacher in "${TEACHERS[@]}"; do
            [ -d "$teacher" ] || fail "$teacher does not exist: run recipes/inflection/ensemble.sh copying-transducer 3 $2"
        done
        shared_data "$2-distilled" "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/$FILES.trn.gz" \
            "${TEACHERS[@]/%//model.safetensors}" -- \
            distil "$SEQ2SEQ_DATA/$FILES.trn.gz" "$(IFS=,; echo "${TEACHERS[*]}")"
        SPLITS[1]=data.train=$PWD/$DATA/trn
        ;;
    copied | spelled)
        PROGRAM='{print $2 " " $1, "-", $3}'  # `-` is the only feature
        [ "$1" = spelled ] || PROGRAM='{print} SPLIT == "trn" {print $3, "COPY", $3}'
        shared_data "$2-$1" "$SEQ2SEQ_DATA/$FILES".{trn,dev,tst}.gz -- rewrite "$PROGRAM"
        SPLITS=(--set "data.train=$PWD/$DATA/trn" --set "data.valid=$PWD/$DATA/dev" --set "data.test=$PWD/$DATA/tst")
        ;;
esac

stage train "$CONFIG" "$SEQ2SEQ_DATA/$FILES".{trn,dev}.gz -- \
    train_run "${SPLITS[@]}" ${SETTINGS[@]+"${SETTINGS[@]}"}
stage valid -- score valid valid-beam5 --length-penalty 0 -o "$RUN/valid-beam5.txt"
[ -z "${TEST:-}" ] || stage test -- score test test-beam5 --length-penalty 0 -o "$RUN/test-beam5.txt"
head -n 5 "$RUN/valid-beam5.scores"
