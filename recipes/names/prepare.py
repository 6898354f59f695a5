"""Write surnames by nationality as tables with a nationality column and a name column.

    python prepare.py FOLDER OUTPUT

FOLDER contains one file for each nationality (Arabic.txt, ...) with one name a line. The tables
have each name once for each of its nationalities. All rows of a name are in the same split, so that
no test name occurs in training. Within each nationality, the names are split 8 : 1 : 1 with a fixed
seed. A name of several nationalities is split together with the smallest of them.
"""

import random
import sys
from pathlib import Path


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py FOLDER OUTPUT")
    source, output = map(Path, sys.argv[1:])
    files = sorted(path for path in source.glob("*.txt") if path.stem.isalpha())
    if not files:
        sys.exit(f"error: {source} contains no Arabic.txt, ...: give the folder with these lists")
    names = {
        path.stem: sorted(
            {" ".join(line.split()) for line in path.read_text("utf-8").split("\n")} - {""}
        )
        for path in files
    }
    owners: dict[str, list[str]] = {}
    for label in sorted(names, key=lambda label: len(names[label])):  # the smallest first
        for name in names[label]:
            owners.setdefault(name, []).append(label)
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for label in names:
        group = [name for name, labels in owners.items() if labels[0] == label]
        random.Random(f"names {label}").shuffle(group)
        tenth = max(1, len(group) // 10)
        parts = (group[2 * tenth :], group[:tenth], group[tenth : 2 * tenth])
        for split, part in zip(splits, parts, strict=True):
            splits[split] += [f"{owner}\t{name}\n" for name in part for owner in owners[name]]
    output.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (output / f"{split}.tsv").write_text("".join(["label\ttext\n", *rows]), encoding="utf-8")
        print(f"{split}: {len(rows):,} names", file=sys.stderr)


if __name__ == "__main__":
    main()
