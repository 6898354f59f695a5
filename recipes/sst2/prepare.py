"""Write the whole sentences of SST-2 (Socher et al. 2013) as tables of label and sentence.

    python prepare.py FOLDER OUTPUT

FOLDER contains stsa.binary.{train,dev,test}[.gz]. Each line is a 0 or a 1, a space and a sentence.
"""

import gzip
import sys
from pathlib import Path

LABELS = {"0": "negative", "1": "positive"}


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py FOLDER OUTPUT")
    source, output = map(Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    for split, name in (("train", "train"), ("dev", "valid"), ("test", "test")):
        path = source / f"stsa.binary.{split}"
        packed = path.with_name(path.name + ".gz")
        if not path.exists() and not packed.exists():
            sys.exit(f"error: {path}[.gz] is missing: give the folder that contains it")
        data = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
        lines = data.decode("utf-8").removesuffix("\n").split("\n")
        rows = [f"{LABELS[line[0]]}\t{line[2:]}\n" for line in lines]
        (output / f"{name}.tsv").write_text("".join(["label\ttext\n", *rows]), encoding="utf-8")
        print(f"{name}: {len(rows):,} sentences", file=sys.stderr)


if __name__ == "__main__":
    main()
