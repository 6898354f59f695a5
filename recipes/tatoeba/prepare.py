"""Write the German-English pairs of Tatoeba as parallel files, split by English sentence.

    python prepare.py FOLDER OUTPUT

FOLDER contains deu.txt or deu.txt.gz. Each line is an English sentence, a tab and a German
sentence. Tatoeba has many translations of the same sentence, so a random split of the rows would
leak. English sentences that differ only in case, spaces or punctuation go to the same split.

Validation and test have 2,000 English sentences each, those with the smallest hashes. Each of these
sentences keeps only one pair, so that all have the same weight. A training pair whose German
sentence occurs in validation or test is left out.
"""

import gzip
import hashlib
import sys
import unicodedata
from pathlib import Path

HELD_OUT = 2000  # English sentences in each of valid and test


def key(sentence: str) -> str:
    """Return the sentence without case, spaces and punctuation.

    Return the case-folded sentence if nothing else is left.
    """
    text = unicodedata.normalize("NFKC", sentence).casefold()
    return "".join(c for c in text if c.isalnum()) or text


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py FOLDER OUTPUT")
    folder, output = map(Path, sys.argv[1:])
    plain, packed = folder / "deu.txt", folder / "deu.txt.gz"
    if not (plain.is_file() or packed.is_file()):
        sys.exit(f"error: {folder} contains no deu.txt[.gz]: give the folder that contains it")
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
    print(f"left out: {left:,} pairs that share a sentence with a held-out pair", file=sys.stderr)


if __name__ == "__main__":
    main()
