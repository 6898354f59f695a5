"""The Time Machine as the textbooks take it: letters alone, and the first 10,000 characters.

    python prepare.py timemachine.txt OUTPUT

All but letters becomes one space, capitals small. OUTPUT/train.txt holds the first 10,000
characters, OUTPUT/rest.txt what comes after them, each as one line.
"""

import re
import sys
from pathlib import Path

CHARACTERS = 10_000


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py timemachine.txt OUTPUT")
    book, output = map(Path, sys.argv[1:])
    if not book.exists():
        sys.exit(f"error: {book} is missing: it is d2l's file, sha1 090b5e7e70c2")
    text = re.sub("[^A-Za-z]+", " ", book.read_text("utf-8")).strip().lower()
    output.mkdir(parents=True, exist_ok=True)
    (output / "train.txt").write_text(text[:CHARACTERS].strip() + "\n")
    (output / "rest.txt").write_text(text[CHARACTERS:].strip() + "\n")


if __name__ == "__main__":
    main()
