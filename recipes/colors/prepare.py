"""Write colours and their names as tables with an RGB column and a name column.

    python prepare.py colornames.csv OUTPUT

The colours are shuffled with a fixed seed. One tenth goes to test.tsv, another tenth to valid.tsv
and the rest to train.tsv. Each row is in one split only.
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
        sys.exit(f"error: {table} is missing: get src/colornames.csv of meodai/color-names")
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
