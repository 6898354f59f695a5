#!/usr/bin/env bash
# Quickstart: train a translator on the corpus that ships with the project, translate the test set and
# score the translations.
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

# score_capitals: score the test set in capitals, which a model with tokenizer.case = "marked" can read.
score_capitals() {
    local side
    for side in en fr; do
        python3 -c 'import sys; sys.stdout.write(sys.stdin.read().upper())' < $DATA/test.$side > "$RUN/capitals.$side"
    done
    seq2seq evaluate "$RUN/model" "$RUN/capitals.en" "$RUN/capitals.fr" -o "$RUN/capitals.txt"
}

stage train "$CONFIG" $DATA/train.* $DATA/valid.* -- train_run
stage test $DATA/test.* -- score_test
[ "$VARIANT" != capitals ] || stage capitals $DATA/test.* -- score_capitals
stage baselines $DATA/baselines.py $DATA/test.* -- score_baselines

echo
echo "BLEU on the test set (no sentence of it is in the training set)"
sed 's/^/  /' "$RUN/test.txt"
echo
echo "expected BLEU (recipes/quickstart/RESULTS.md)"
grep "| $VARIANT |" recipes/quickstart/RESULTS.md 2> /dev/null | tail -n 1 | sed 's/^/  /' || echo "  not recorded yet"
echo
echo "two baselines without a network"
sed 's/^/  /' "$RUN/baselines.txt"
echo
echo "five translations to judge by eye"
seq2seq translate "$RUN/model" recipes/quickstart/judge.en 2> /dev/null |
    paste -d '\n' recipes/quickstart/judge.en - |
    sed '1~2s/^/  en  /; 2~2s/^/  fr  /'
