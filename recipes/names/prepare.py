"""Surnames by nationality as tables of nationality and name.

    python prepare.py FOLDER OUTPUT

FOLDER holds a file a nationality (Arabic.txt, ...), a name a line. A name is taken once; one that
several nationalities have is left out, for no label is the right one. Every nationality is split
8 : 1 : 1 by a fixed seed.
"""

import random
import sys
from collections import Counter
from pathlib import Path


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")


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
    owners = Counter(name for group in names.values() for name in group)
    splits: dict[str, list[str]] = {"train": [], "valid": [], "test": []}
    for label, group in names.items():
        own = [name for name in group if owners[name] == 1]
        random.Random(f"names {label}").shuffle(own)
        tenth = max(1, len(own) // 10)
        parts = (own[2 * tenth :], own[:tenth], own[tenth : 2 * tenth])
        for split, part in zip(splits, parts, strict=True):
            splits[split] += [f"{label}\t{name}\n" for name in part]
    output.mkdir(parents=True, exist_ok=True)
    for split, rows in splits.items():
        (output / f"{split}.tsv").write_text("".join(["label\ttext\n", *rows]), encoding="utf-8")
        print(f"{split}: {len(rows):,} names", file=sys.stderr)


if __name__ == "__main__":
    main()
