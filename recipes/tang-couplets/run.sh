#!/usr/bin/env bash
# Tang poems: train a model that answers a half-line with another half-line of equal length, and print
# ten examples.
#
#   SEQ2SEQ_DATA=folder-that-holds-cn_tang_lines recipes/tang-couplets/run.sh base [SEED]
source "$(dirname "$0")/../stages.sh"
begin "${1:-}" "${2:-}"
needs cn_tang_lines/test.tsv.gz

# Answer all first half-lines of the test set, and count the answers whose length differs.
answers() {
    gzip -dcf "$SEQ2SEQ_DATA"/cn_tang_lines/test.tsv.gz > "$RUN/test.tsv"
    cut -f 1 "$RUN/test.tsv" | seq2seq translate "$RUN/model" > "$RUN/answers.txt"
    paste "$RUN/test.tsv" "$RUN/answers.txt" | python3 -c '
import sys
rows = [line.rstrip("\n").split("\t") for line in open(0, encoding="utf-8")]
other = sum(len(first) != len(answer) for first, _, answer in rows)
print(f"{len(rows):,} lines, {other} answers whose length differs")' |
        tee "$RUN/lengths.txt"
}

corpus cn_tang_lines
stage train "$CONFIG" ${CORPUS[@]+"${CORPUS[@]}"} -- train_run
stage valid -- score valid valid
stage test -- score test test
stage answers "$SEQ2SEQ_DATA"/cn_tang_lines/test.tsv.gz -- answers
cat "$RUN/lengths.txt"
echo "first half-line, the poet's second half-line, the model's answer"
paste "$RUN/test.tsv" "$RUN/answers.txt" | awk 'NR % 480 == 1' | head -n 10
