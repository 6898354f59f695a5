#!/usr/bin/env bash
# Multi30k, German to English, from a model of Tatoeba: train a variant and score it on validation.
#
#   SEQ2SEQ_DATA=folder-that-holds-tatoeba_deu_eng-and-multi30k recipes/multi30k-continued/run.sh tatoeba
#   ... recipes/multi30k-continued/run.sh continued-2000
#
# The variants continued-2000 and continued-10000 start from the model of the variant tatoeba.
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
needs multi30k
START=runs/$RECIPE/tatoeba/model

# score_on_multi30k: score the model of Tatoeba, which has seen no caption, on the same captions.
score_on_multi30k() {
    zcat -f "$(ls "$SEQ2SEQ_DATA"/multi30k/val.de*)" > "$RUN/val.de"
    zcat -f "$(ls "$SEQ2SEQ_DATA"/multi30k/val.en*)" > "$RUN/val.en"
    seq2seq evaluate "$RUN/model" "$RUN/val.de" "$RUN/val.en" -o "$RUN/valid-beam5.txt" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/$RECIPE/run.sh $VARIANT"} |
        tee "$RUN/valid-beam5.scores"
}

case $VARIANT in
    tatoeba)
        needs tatoeba_deu_eng
        corpus tatoeba_deu_eng
        shared_data tatoeba recipes/tatoeba/prepare.py ${CORPUS[@]+"${CORPUS[@]}"} -- \
            python3 recipes/tatoeba/prepare.py "$SEQ2SEQ_DATA/tatoeba_deu_eng" "runs/$RECIPE/data/tatoeba"
        stage train "$CONFIG" "$DATA"/train.de "$DATA"/train.en -- train_run
        stage valid -- score_on_multi30k
        ;;
    *)
        PAIRS=${VARIANT##*-}
        corpus multi30k
        shared_data "multi30k-$PAIRS" "recipes/$RECIPE/prepare.py" ${CORPUS[@]+"${CORPUS[@]}"} -- \
            python3 "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/multi30k" "runs/$RECIPE/data/multi30k-$PAIRS" "$PAIRS"
        if [[ $VARIANT == continued-* ]]; then
            [ -d "$START" ] || fail "$START is missing: run recipes/$RECIPE/run.sh tatoeba first"
            stage train "$CONFIG" "$DATA"/train.de "$DATA"/train.en "$START"/model.safetensors -- \
                train_run --from "$START"
        else
            stage train "$CONFIG" "$DATA"/train.de "$DATA"/train.en -- train_run
        fi
        stage valid -- score valid valid-beam5 -o "$RUN/valid-beam5.txt"
        ;;
esac
cat "$RUN/valid-beam5.scores"
