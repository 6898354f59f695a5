"""Make the files of two variants from a training set of inflected forms.

    python prepare.py hallucinate TRAIN COUNT OUTPUT [SEED]
    python prepare.py cells TRAIN COUNT OUTPUT [SEED]

TRAIN is a file such as swa.trn or swa.trn.gz. Each row has a lemma, its features and a form. SEED
is 1 by default.

`hallucinate` writes all rows of TRAIN and COUNT artificial ("hallucinated") rows to OUTPUT
(Anastasopoulos and Neubig 2019). An artificial row is a row of TRAIN with another stem: where the
lemma and the form share at least three letters in a row, random letters of the language replace
these letters. Affixes and features stay the same. A model can thus learn that a stem may be any
string.

`cells` writes lemmas and features whose form TRAIN does not contain. It pairs each lemma with the
features that occur with any lemma of the same part of speech (the first feature), or with 1,000 of
them at random if there are more. It drops the pairs that TRAIN contains, and writes at most COUNT
of the other pairs to OUTPUT, chosen at random.
"""

import gzip
import random
import sys
from difflib import SequenceMatcher
from pathlib import Path

SHORTEST = 3  # smallest number of letters of a stem
PER_LEMMA = 1000  # largest number of features that are tried with a lemma; Swahili verbs have 5,687

Row = list[str]  # a lemma, its features and a form


def replace_stem(
    lemma: str, form: str, letters: list[str], chance: random.Random
) -> tuple[str, str]:
    """Return the lemma and the form with random letters in each substring that both share."""
    new_lemma, new_form = list(lemma), list(form)
    matcher = SequenceMatcher(None, lemma, form, autojunk=False)
    for in_lemma, in_form, size in matcher.get_matching_blocks():
        if size < SHORTEST:
            continue
        for offset in range(size):
            if lemma[in_lemma + offset].isalpha():
                letter = chance.choice(letters)
                new_lemma[in_lemma + offset] = new_form[in_form + offset] = letter
    return "".join(new_lemma), "".join(new_form)


def hallucinate(rows: list[Row], count: int, chance: random.Random) -> list[Row]:
    """Return the rows and, after them, rows with random stems."""
    # A letter that is frequent in lemmas is also frequent in the artificial stems.
    letters = [letter for lemma, _, _ in rows for letter in lemma if letter.isalpha()]
    known = {tuple(row) for row in rows}
    made: list[Row] = []
    tries = 0
    while len(made) < count and tries < 20 * count:
        tries += 1
        lemma, features, form = chance.choice(rows)
        row = replace_stem(lemma, form, letters, chance)
        if row != (lemma, form) and (row[0], features, row[1]) not in known:
            made.append([row[0], features, row[1]])
    print(f"{len(rows):,} rows and {len(made):,} hallucinated rows", file=sys.stderr)
    return rows + made


def choose_cells(rows: list[Row], count: int, chance: random.Random) -> list[Row]:
    """Return lemmas and features that no row has."""
    known = {(lemma, features) for lemma, features, _ in rows}
    bundles: dict[str, dict[str, None]] = {}  # the features of each part of speech, in file order
    lemmas: dict[tuple[str, str], None] = {}  # with their part of speech
    for lemma, features, _ in rows:
        speech = features.split(";")[0]
        bundles.setdefault(speech, {})[features] = None
        lemmas[lemma, speech] = None
    cells: list[Row] = []
    for lemma, speech in lemmas:
        tried = list(bundles[speech])
        if len(tried) > PER_LEMMA:
            tried = chance.sample(tried, PER_LEMMA)
        cells += [[lemma, features] for features in tried if (lemma, features) not in known]
    chosen = chance.sample(cells, min(count, len(cells)))
    print(f"{len(chosen):,} of {len(cells):,} cells", file=sys.stderr)
    return chosen


def main() -> None:
    programs = {"hallucinate": hallucinate, "cells": choose_cells}
    if len(sys.argv) not in (5, 6) or sys.argv[1] not in programs:
        sys.exit("usage: python prepare.py hallucinate|cells TRAIN COUNT OUTPUT [SEED]")
    source, count, output = Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    chance = random.Random(int(sys.argv[5]) if len(sys.argv) == 6 else 1)
    content = source.read_bytes()
    if source.suffix == ".gz":
        content = gzip.decompress(content)
    lines = content.decode("utf-8").removesuffix("\n").split("\n")
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            sys.exit(
                f"error: {source}:{number}: expected lemma, features and form, "
                f"but found {len(row)} columns"
            )
    written = programs[sys.argv[1]](rows, count, chance)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines("\t".join(row) + "\n" for row in written)


if __name__ == "__main__":
    main()
