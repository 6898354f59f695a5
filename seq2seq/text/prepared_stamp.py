"""The stamp of prepared data: what the data was prepared from, and the checksums of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seq2seq.checked_files import check_sums
from seq2seq.files import sha256_of, write_new

STAMP_FILE = "prepared.json"


def write_stamp(folder: Path, digest: str, counts: Mapping[str, int]) -> None:
    """Write the stamp of a folder that contains all its other files.

    digest: a hash of the settings and of the corpus.
    counts: how many examples were read, kept and dropped.
    """
    sums = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    text = json.dumps({"digest": digest, "counts": counts, "sha256": sums}, indent=2) + "\n"
    write_new(folder / STAMP_FILE, text.encode())


def is_stamped(folder: Path, digest: str) -> bool:
    """Return whether a folder contains data that was prepared from this corpus and these settings.

    digest: a hash of the settings and of the corpus.
    """
    return _read(folder).get("digest") == digest


def damaged_file(folder: Path) -> Path | None:
    """Return a file that differs from its checksum in the stamp, or None if there is none.

    Stamps of earlier versions have no checksums.
    """
    for name, checksum in check_sums(_read(folder).get("sha256", {})).items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != checksum:
            return path
    return None


def _read(folder: Path) -> dict[str, Any]:
    """Return the values of a stamp. A missing or damaged stamp has none."""
    try:
        values = json.loads((folder / STAMP_FILE).read_text(encoding="utf-8"))
        check_sums(values.get("sha256", {}))
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}
    return dict(values)
