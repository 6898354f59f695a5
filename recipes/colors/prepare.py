"""Colours and their names as tables of RGB and name.

    python prepare.py colornames.csv OUTPUT

Every tenth colour, in an order drawn by a fixed seed, is in test.tsv, and every tenth in valid.tsv;
no colour is on two sides.
"""

import csv
import random
import sys
from pathlib import Path


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py colornames.csv OUTPUT")
    table, output = map(Path, sys.argv[1:])
    if not table.exists():
        sys.exit(f"error: {table} is missing: it is meodai/color-names' src/colornames.csv")
    with table.open(encoding="utf-8", newline="") as file:
        rows = [f"{row['hex']}\t{row['name']}\n" for row in csv.DictReader(file)]
    by_colour = sorted(set(rows))
    random.Random("colors").shuffle(by_colour)
    output.mkdir(parents=True, exist_ok=True)
    parts = {"test": by_colour[::10], "valid": by_colour[1::10]}
    parts["train"] = [row for i, row in enumerate(by_colour) if i % 10 > 1]
    for split, some in parts.items():
        (output / f"{split}.tsv").write_text("".join(["rgb\tname\n", *some]), encoding="utf-8")
        print(f"{split}: {len(some):,} colours", file=sys.stderr)


if __name__ == "__main__":
    main()
