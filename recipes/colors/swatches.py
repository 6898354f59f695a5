"""Draw colours beside the name that a model gave and the name in the corpus.

    python swatches.py TABLE NAMES PICTURE

Each line of TABLE is "#rrggbb<tab>name". Line i of NAMES is the model's name for line i of TABLE.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("agg")
from matplotlib import pyplot as plt


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit("usage: python swatches.py TABLE NAMES PICTURE")
    table, names, picture = map(Path, sys.argv[1:])
    rows = [line.split("\t") for line in table.read_text("utf-8").removesuffix("\n").split("\n")]
    given = names.read_text("utf-8").removesuffix("\n").split("\n")
    figure, axes = plt.subplots(figsize=(7.5, 0.5 * len(rows) + 0.6))
    for place, ((colour, own), name) in enumerate(zip(rows, given, strict=True)):
        axes.add_patch(plt.Rectangle((0, place + 0.1), 1, 0.8, color=colour))
        axes.text(1.1, place + 0.5, name, va="center", fontsize=12)
        axes.text(4.6, place + 0.5, own, va="center", fontsize=10, color="#666666")
    axes.text(1.1, -0.15, "the model's name", va="center", fontsize=9, weight="bold")
    axes.text(4.6, -0.15, "its own", va="center", fontsize=9, weight="bold", color="#666666")
    axes.set(xlim=(0, 7.5), ylim=(len(rows), -0.5))
    axes.axis("off")
    figure.savefig(picture, dpi=110, bbox_inches="tight")


if __name__ == "__main__":
    main()
