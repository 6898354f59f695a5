"""Read the lines of a text for a benchmark."""

from __future__ import annotations

import gzip
from pathlib import Path


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file, which may be compressed with gzip."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return data.decode().removesuffix("\n").split("\n")
