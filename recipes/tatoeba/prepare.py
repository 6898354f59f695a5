"""German-English pairs of Tatoeba as parallel files, split by the English side.

    python prepare.py FOLDER OUTPUT

FOLDER holds deu.txt or deu.txt.gz: English, a tab, German, a pair a line. No English sentence is
in two splits, however it is cased, spaced or punctuated: Tatoeba has many translations of one
sentence, and a split by rows would ask for what was learned. The 2,000 sentences of each held-out
split are those whose digests come first; of each of them one pair is kept there, so that none
weighs twice. What is learned from has none of their German sides either.
"""

import gzip
import hashlib
import sys
import unicodedata
from pathlib import Path

HELD_OUT = 2000  # English sentences in each of valid and test


def key(sentence: str) -> str:
    """The sentence but for case, spaces and punctuation; itself if it has nothing else."""
    text = unicodedata.normalize("NFKC", sentence).casefold()
    return "".join(c for c in text if c.isalnum()) or text


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py FOLDER OUTPUT")
    folder, output = map(Path, sys.argv[1:])
    plain, packed = folder / "deu.txt", folder / "deu.txt.gz"
    if not (plain.is_file() or packed.is_file()):
        sys.exit(f"error: {folder} holds no deu.txt and no deu.txt.gz")
    content = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
    groups: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(content.decode("utf-8").rstrip("\n").split("\n"), start=1):
        sides = line.rstrip("\r").split("\t")
        if len(sides) < 2:
            sys.exit(f"error: {folder}, line {number}: no tab between English and German")
        groups.setdefault(key(sides[0]), []).append((sides[0], sides[1]))
    order = sorted(groups, key=lambda english: hashlib.sha256(english.encode()).digest())
    held_out = [groups[english][0] for english in order[: 2 * HELD_OUT]]
    german = {key(pair[1]) for pair in held_out}
    rest = [pair for english in order[2 * HELD_OUT :] for pair in groups[english]]
    splits = {
        "valid": held_out[:HELD_OUT],
        "test": held_out[HELD_OUT:],
        "train": [pair for pair in rest if key(pair[1]) not in german],
    }
    output.mkdir(parents=True, exist_ok=True)
    for split, pairs in splits.items():
        for side, language in enumerate(("en", "de")):
            text = "".join(pair[side] + "\n" for pair in pairs)
            (output / f"{split}.{language}").write_text(text, encoding="utf-8", newline="\n")
        print(f"{split}: {len(pairs):,} pairs", file=sys.stderr)
    left = sum(len(groups[english]) - 1 for english in order[: 2 * HELD_OUT])
    left += len(rest) - len(splits["train"])
    print(f"left out: {left:,} pairs with a side that is held out", file=sys.stderr)


if __name__ == "__main__":
    main()
