"""Join sentences of Multi30k into lines of 1 to 80 words, with many lines of every length.

    python prepare.py FOLDER OUTPUT

FOLDER contains {train,val,test_2016_flickr}.{en,de}[.gz]. For each line, the script samples a
length in English words and appends shuffled sentences until the next one would exceed this length.
A sentence that is longer than the sampled length becomes a line of its own. Each line joins
sentences of one split only.

The training split contains every sentence once alone and once in a joined line, so that a network
also learns short sentences. The test split joins its sentences in several passes with a new shuffle
each, so that every length has enough lines.
"""

import gzip
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from seq2seq.files import write_atomically

LONGEST = 80  # words on the English side
ALONE = {"train"}  # splits that also contain each sentence alone
PASSES = {"train": 1, "val": 1, "test_2016_flickr": 6}

Pair = tuple[str, str]


def read(folder: Path, split: str) -> list[Pair]:
    sides = []
    for language in ("en", "de"):
        path = folder / f"{split}.{language}"
        packed = path.with_name(path.name + ".gz")
        if not path.exists() and not packed.exists():
            sys.exit(f"error: {path}[.gz] is missing: give the folder that contains Multi30k")
        data = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
        sides.append(data.decode("utf-8").removesuffix("\n").split("\n"))
    return list(zip(*sides, strict=True))


def joined(pairs: list[Pair], draw: random.Random) -> Iterator[Pair]:
    """Yield joined lines that contain every sentence once."""
    line: list[Pair] = []
    words, wanted = 0, draw.randint(1, LONGEST)
    for pair in draw.sample(pairs, len(pairs)):
        more = len(pair[0].split())
        if line and words + more > wanted:
            yield " ".join(one for one, _ in line), " ".join(other for _, other in line)
            line, words, wanted = [], 0, draw.randint(1, LONGEST)
        line.append(pair)
        words += more
    yield " ".join(one for one, _ in line), " ".join(other for _, other in line)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py FOLDER OUTPUT")
    source, output = map(Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    for split, passes in PASSES.items():
        draw = random.Random(f"multi30k-long {split}")
        pairs = read(source, split)
        lines = pairs if split in ALONE else []
        lines = lines + [line for _ in range(passes) for line in joined(pairs, draw)]
        for side, language in enumerate(("en", "de")):
            text = "".join(line[side] + "\n" for line in lines)
            write_atomically(output / f"{split}.{language}", text.encode("utf-8"))
        print(f"{split}: {len(pairs):,} sentences, {len(lines):,} lines", file=sys.stderr)


if __name__ == "__main__":
    main()
