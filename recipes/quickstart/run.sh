#!/usr/bin/env bash
# The main job on the corpus that ships with the project: train, translate the test set, score it.
source "$(dirname "$0")/../stages.sh"
begin "${1:-base}"

DATA=data/phrasebook

score_test() {
    seq2seq evaluate "$RUN/model" -o "$RUN/test.fr" --plot "$RUN/lengths.png" \
        ${RECORD:+--record "recipes/$RECIPE/results.jsonl" --command "recipes/quickstart/run.sh $VARIANT"} > "$RUN/test.txt"
}

score_baselines() {
    python $DATA/baselines.py > "$RUN/baselines.txt"
}

stage train "$CONFIG" $DATA/train.* $DATA/valid.* -- train_run
stage test $DATA/test.* -- score_test
stage baselines $DATA/baselines.py $DATA/test.* -- score_baselines

echo
echo "BLEU on the test set, of which training saw no sentence"
sed 's/^/  /' "$RUN/test.txt"
echo
echo "expected (recipes/quickstart/RESULTS.md)"
grep "| $VARIANT |" recipes/quickstart/RESULTS.md 2> /dev/null | tail -n 1 | sed 's/^/  /' || echo "  not recorded yet"
echo
echo "what needs no network"
sed 's/^/  /' "$RUN/baselines.txt"
echo
echo "five lines to judge by eye"
seq2seq translate "$RUN/model" recipes/quickstart/judge.en 2> /dev/null |
    paste -d '\n' recipes/quickstart/judge.en - |
    sed '1~2s/^/  en  /; 2~2s/^/  fr  /'
