"""Add hallucinated rows to a training set of inflection (Anastasopoulos and Neubig 2019).

    python prepare.py TRAIN COUNT OUTPUT [SEED]

TRAIN is a file such as swa.trn or swa.trn.gz, whose rows are lemma, features and form. OUTPUT gets
all rows of TRAIN and COUNT further rows. A further row is a row of TRAIN with another stem: where
lemma and form share at least three letters in a row, each of these letters is replaced by a random
letter of the language. Affixes and features stay, so a model learns that a stem may be any string.
"""

import gzip
import random
import sys
from difflib import SequenceMatcher
from pathlib import Path

SHORTEST = 3  # letters of a stem


def replace_stem(
    lemma: str, form: str, letters: list[str], chance: random.Random
) -> tuple[str, str]:
    """Return the lemma and the form with random letters in each stretch that both share."""
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
    lines = content.decode("utf-8").split("\n")[:-1]
    rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != 3:
            sys.exit(
                f"error: {source}:{number}: {len(row)} columns; expected lemma, features and form"
            )
    # Letters of lemmas, as often as they occur there.
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
