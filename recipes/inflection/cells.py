"""Choose lemmas and features whose form a training set does not contain.

    python cells.py TRAIN COUNT OUTPUT [SEED]

TRAIN is a file such as deu.trn or deu.trn.gz. Each row has a lemma, its features and a form. The
program pairs each lemma with the features that occur with any lemma of the same part of speech (the
first feature), or with 1,000 of them at random if there are more. It drops the pairs that TRAIN
contains, and writes at most COUNT of the other pairs to OUTPUT, chosen at random. SEED is 1 by
default.
"""

import gzip
import random
import sys
from pathlib import Path

PER_LEMMA = 1000  # largest number of features that are tried with a lemma; Swahili verbs have 5,687


def main() -> None:
    if len(sys.argv) not in (4, 5):
        sys.exit("usage: python cells.py TRAIN COUNT OUTPUT [SEED]")
    source, count, output = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    chance = random.Random(int(sys.argv[4]) if len(sys.argv) == 5 else 1)
    content = source.read_bytes()
    if source.suffix == ".gz":
        content = gzip.decompress(content)
    known: dict[tuple[str, str], None] = {}  # in the order of the file
    bundles: dict[str, dict[str, None]] = {}  # the features of each part of speech
    lemmas: dict[tuple[str, str], None] = {}  # with their part of speech
    for number, line in enumerate(content.decode("utf-8").removesuffix("\n").split("\n"), start=1):
        row = line.split("\t")
        if len(row) != 3:
            sys.exit(
                f"error: {source}:{number}: expected lemma, features and form, "
                f"but found {len(row)} columns"
            )
        speech = row[1].split(";")[0]
        known[row[0], row[1]] = None
        bundles.setdefault(speech, {})[row[1]] = None
        lemmas[row[0], speech] = None
    cells = []
    for lemma, speech in lemmas:
        features = list(bundles[speech])
        if len(features) > PER_LEMMA:
            features = chance.sample(features, PER_LEMMA)
        cells += [(lemma, bundle) for bundle in features if (lemma, bundle) not in known]
    chosen = chance.sample(cells, min(count, len(cells)))
    with output.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{lemma}\t{features}\n" for lemma, features in chosen)
    print(f"{len(chosen):,} of {len(cells):,} cells", file=sys.stderr)


if __name__ == "__main__":
    main()
