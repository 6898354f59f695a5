#!/usr/bin/env bash
# Long lines, fixed c against attention: train a variant on joined sentences, translate the joined
# test set, and draw BLEU by length of all variants that are done.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k-long/run.sh attention
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"
: "${SEQ2SEQ_DATA:?set it to the folder that holds multi30k/}"

DATA=runs/$RECIPE/data

score() {
    seq2seq evaluate "$RUN/model" --beam 5 -o "$RUN/test-beam5.txt" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/$RECIPE/run.sh $VARIANT"} |
        tee "$RUN/test-beam5.scores"
}

# The data is all variants': its marker too.
mkdir -p "$DATA.stages"
[ -d "$DATA" ] || rm -f "$DATA.stages/data"
RUN=$DATA stage data "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA"/multi30k/*.{en,de}* -- \
    python3 "recipes/$RECIPE/prepare.py" "$SEQ2SEQ_DATA/multi30k" "$DATA"
stage train "$CONFIG" "$DATA"/{train,val}.* -- train_run
stage test-beam5 "$DATA"/test* -- score
cat "$RUN/test-beam5.scores"

systems=()
[ -f "runs/$RECIPE/fixed/test-beam5.txt" ] &&
    systems+=("fixed c=runs/$RECIPE/fixed/test-beam5.txt")
[ -f "runs/$RECIPE/attention/test-beam5.txt" ] &&
    systems+=("attention=runs/$RECIPE/attention/test-beam5.txt")
seq2seq plot lengths "$DATA/test_2016_flickr.en" "$DATA/test_2016_flickr.de" "${systems[@]}" \
    -o "runs/$RECIPE/lengths.svg"
echo "runs/$RECIPE/lengths.svg: BLEU by source length"
