"""Write TREC-6 (Li and Roth 2002) as tables of label and question.

    python prepare.py FOLDER OUTPUT

FOLDER contains TREC.{train,test}.all[.gz]. Each line is the number of a class, a space and a
question. A tenth of the training questions, sampled with a fixed seed, goes to valid.tsv.
"""

import gzip
import random
import sys
from pathlib import Path

CLASSES = ["DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"]


def read(folder: Path, name: str) -> list[str]:
    path = folder / name
    packed = path.with_name(path.name + ".gz")
    if not path.exists() and not packed.exists():
        sys.exit(f"error: {path}[.gz] is missing: give the folder that contains it")
    data = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
    rows = []
    for line in data.decode("utf-8").removesuffix("\n").split("\n"):
        number, text = line.split(" ", 1)
        rows.append(f"{CLASSES[int(number)]}\t{text}\n")
    return rows


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py FOLDER OUTPUT")
    source, output = map(Path, sys.argv[1:])
    train, test = (read(source, f"TREC.{split}.all") for split in ("train", "test"))
    random.Random("trec").shuffle(train)
    held_out = len(train) // 10
    output.mkdir(parents=True, exist_ok=True)
    for name, rows in (("valid", train[:held_out]), ("train", train[held_out:]), ("test", test)):
        (output / f"{name}.tsv").write_text("".join(["label\ttext\n", *rows]), encoding="utf-8")
        print(f"{name}: {len(rows):,} questions", file=sys.stderr)


if __name__ == "__main__":
    main()
