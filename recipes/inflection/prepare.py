"""Add artificial rows to a training set of inflected forms (Anastasopoulos and Neubig 2019).

    python prepare.py TRAIN COUNT OUTPUT [SEED]

TRAIN is a file such as swa.trn or swa.trn.gz. Each row has a lemma, its features and a form. The
program writes all rows of TRAIN and COUNT artificial ("hallucinated") rows to OUTPUT. An artificial
row is a row of TRAIN with another stem: where the lemma and the form share at least three letters
in a row, random letters of the language replace these letters. Affixes and features stay the same.
A model can thus learn that a stem may be any string. SEED is 1 by default.
"""

import gzip
import random
import sys
from difflib import SequenceMatcher
from pathlib import Path

SHORTEST = 3  # smallest number of letters of a stem


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


def main() -> None:
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: python prepare.py TRAIN COUNT OUTPUT [SEED]")
    source, count, output = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    chance = random.Random(int(sys.argv[4]) if len(sys.argv) == 5 else 1)
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
    # A letter that is frequent in lemmas is also frequent in the artificial stems.
    letters = [letter for lemma, _, _ in rows for letter in lemma if letter.isalpha()]
    known = {tuple(row) for row in rows}
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{line}\n" for line in lines)
        written, tries = 0, 0
        while written < count and tries < 20 * count:
            tries += 1
            lemma, features, form = chance.choice(rows)
            row = replace_stem(lemma, form, letters, chance)
            if row != (lemma, form) and (row[0], features, row[1]) not in known:
                out.write(f"{row[0]}\t{features}\t{row[1]}\n")
                written += 1
    print(f"{len(rows):,} rows and {written:,} hallucinated rows", file=sys.stderr)


if __name__ == "__main__":
    main()
