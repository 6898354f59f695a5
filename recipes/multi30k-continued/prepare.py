"""Write the first N training pairs of Multi30k: prepare.py MULTI30K OUTPUT N."""

from __future__ import annotations

import gzip
import sys
from itertools import islice
from pathlib import Path


def main(source: Path, output: Path, count: int) -> None:
    """Copy the first `count` lines of train.de and train.en, which may be compressed with gzip."""
    output.mkdir(parents=True, exist_ok=True)
    for side in ("de", "en"):
        plain, packed = source / f"train.{side}", source / f"train.{side}.gz"
        with plain.open("rb") if plain.exists() else gzip.open(packed) as stream:
            lines = list(islice(stream, count))
        if len(lines) < count:
            sys.exit(f"error: {source}: train.{side} has only {len(lines):,} lines")
        (output / plain.name).write_bytes(b"".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
