#!/usr/bin/env bash
# Compare a fixed c and attention on long lines: train a variant on joined sentences, translate the
# joined test set, and plot BLEU by source length for all variants that are done.
#
#   SEQ2SEQ_DATA=folder-that-holds-multi30k recipes/multi30k-long/run.sh attention
source "$(dirname "$0")/../stages.sh"
begin "${1:-}"
prepare multi30k
stage train "$CONFIG" "$DATA"/{train,val}.* -- train_run
stage test-beam5 "$DATA"/test* -- score test test-beam5 --beam 5 -o "$RUN/test-beam5.txt"

systems=()
[ -f "runs/$RECIPE/fixed/test-beam5.txt" ] &&
    systems+=("fixed c=runs/$RECIPE/fixed/test-beam5.txt")
[ -f "runs/$RECIPE/attention/test-beam5.txt" ] &&
    systems+=("attention=runs/$RECIPE/attention/test-beam5.txt")
seq2seq plot lengths "$DATA/test_2016_flickr.en" "$DATA/test_2016_flickr.de" "${systems[@]}" \
    -o "runs/$RECIPE/lengths.svg"
echo "runs/$RECIPE/lengths.svg: BLEU by source length"
