"""The stamp of prepared data: what the data was prepared from, and the checksums of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from seq2seq.checked_files import check_sums, read_json_text
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


def read_stamp(folder: Path) -> tuple[str | None, dict[str, str]]:
    """Return the hash and the checksums of a stamp: None and {} if it is missing or damaged.

    Stamps of earlier versions have no checksums.
    """
    try:
        values = read_json_text((folder / STAMP_FILE).read_text(encoding="utf-8"))
        return str(values["digest"]), check_sums(values.get("sha256", {}))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}


def damaged_file(folder: Path, sums: Mapping[str, str | None]) -> Path | None:
    """Return a file that is missing or differs from its checksum, or None if there is none.

    sums: the checksum of each file. If it is None, the file must only exist.
    """
    for name, checksum in sums.items():
        path = folder / name
        if not path.is_file() or (checksum is not None and sha256_of(path) != checksum):
            return path
    return None
