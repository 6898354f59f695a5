"""Surnames by nationality as tables of nationality and name.

    python prepare.py FOLDER OUTPUT

FOLDER holds a file a nationality (Arabic.txt, ...), a name a line. Each nationality has a name
once, and several may have the same one; all rows of a name are in one split, so that none is both
learned and asked for. The split is 8 : 1 : 1, by a fixed seed, within each nationality: a shared
name is parted with the smallest that has it.
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
        sys.exit(f"error: {source} holds no list of names (Arabic.txt, ...)")
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
