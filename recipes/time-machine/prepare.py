"""Write The Time Machine as the textbooks use it: only letters, cut after 10,000 characters.

    python prepare.py timemachine.txt OUTPUT

Each run of characters that are not letters becomes one space, and letters become lower-case.
OUTPUT/train.txt contains the first 10,000 characters and OUTPUT/rest.txt the rest of the book. Each
file has one line.
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
        sys.exit(f"error: {book} is missing: get timemachine.txt of d2l.ai (sha1 090b5e7e70c2...)")
    text = re.sub("[^A-Za-z]+", " ", book.read_text("utf-8")).strip().lower()
    output.mkdir(parents=True, exist_ok=True)
    (output / "train.txt").write_text(text[:CHARACTERS].strip() + "\n")
    (output / "rest.txt").write_text(text[CHARACTERS:].strip() + "\n")


if __name__ == "__main__":
    main()
