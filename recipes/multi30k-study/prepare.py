"""Write small training sets and reversed sources of Multi30k for the study.

    python prepare.py multi30k OUTPUT

first-N.{de,en} contain N training pairs, sampled with a fixed seed. A smaller set is part of every
larger set. reversed-{train,val}.de have the words of each German line in reverse order (Sutskever
et al. 2014). reversed-{train,val}.en are unchanged.
"""

import gzip
import random
import sys
from pathlib import Path

SIZES = (2000, 5000, 10000)


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit("usage: python prepare.py multi30k OUTPUT")
    folder, output = map(Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    train = {side: lines(folder, f"train.{side}") for side in ("de", "en")}
    order = list(range(len(train["de"])))
    random.Random("small").shuffle(order)
    for side, texts in train.items():
        for size in SIZES:
            write(output / f"first-{size}.{side}", [texts[i] for i in order[:size]])
    for split in ("train", "val"):
        german = lines(folder, f"{split}.de")
        write(output / f"reversed-{split}.de", [" ".join(text.split()[::-1]) for text in german])
        write(output / f"reversed-{split}.en", lines(folder, f"{split}.en"))


def lines(folder: Path, name: str) -> list[str]:
    for path, opened in ((folder / name, open), (folder / f"{name}.gz", gzip.open)):
        if path.exists():
            with opened(path, "rt", encoding="utf-8", newline="\n") as file:
                return file.read().removesuffix("\n").split("\n")
    sys.exit(f"error: {folder / name}[.gz] is missing: give the folder that contains Multi30k")


def write(path: Path, texts: list[str]) -> None:
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
