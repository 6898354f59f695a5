"""Merge the data sets of all languages into one training set and one dev set.

    python prepare.py FOLDER SIZE OUTPUT

FOLDER is sigmorphon2021_g2p, and SIZE is low or medium. The program writes OUTPUT/all_train.tsv and
OUTPUT/all_dev.tsv. Each row has a word, its language and its phones.
"""

import gzip
import sys
from pathlib import Path


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit("usage: python prepare.py FOLDER SIZE OUTPUT")
    source, output = Path(sys.argv[1], sys.argv[2]), Path(sys.argv[3])
    output.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev"):
        files = sorted(source.glob(f"*_{split}.tsv.gz"))
        if not files:
            sys.exit(f"error: {source} contains no files *_{split}.tsv.gz")
        with (output / f"all_{split}.tsv").open("w", encoding="utf-8") as out:
            for path in files:
                language = path.name.removesuffix(f"_{split}.tsv.gz")
                with gzip.open(path, "rt", encoding="utf-8", newline="\n") as rows:
                    for row in rows:
                        word, phones = row.rstrip("\n").split("\t")
                        out.write(f"{word}\t{language}\t{phones}\n")


if __name__ == "__main__":
    main()
