"""The manifest of a model folder: its format, and a checksum of every file.

    {"format": 4, "sha256": {"config.toml": "…", "model.safetensors": "…", …}}

Format 3 had no manifest. Its configurations have older names, which `config.migration` reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from seq2seq.errors import UserError

FORMAT = 4
_OLDEST = 3
_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """format: of the folder. sha256: the hexadecimal digest of each file, by its name; empty for a
    folder of format 3."""

    format: int
    sha256: dict[str, str]

    def check(self, folder: Path, names: Collection[str]) -> None:
        """Raises UserError where one of these files is missing or is not what was written."""
        for name in names:
            path = folder / name
            if not path.is_file():
                raise UserError(f"{path} is missing: the model folder is not complete")
            if self.format > _OLDEST and _digest(path) != self.sha256.get(name):
                raise UserError(
                    f"{path}: not the file that was written (its checksum differs): fetch the "
                    "folder again; if you changed the file yourself, delete "
                    f"{folder / _NAME}"
                )


def write_manifest(folder: Path) -> None:
    """List every file of the folder."""
    sums = {path.name: _digest(path) for path in sorted(folder.iterdir()) if path.name != _NAME}
    text = json.dumps({"format": FORMAT, "sha256": sums}, indent=2) + "\n"
    (folder / _NAME).write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """The manifest, or that of format 3 where there is none.

    Raises UserError for a file that is not a manifest, and for a format that is not known; OSError
    for one that may not be read.
    """
    path = folder / _NAME
    if not path.exists():
        return Manifest(_OLDEST, {})
    content = path.read_bytes()
    try:
        values = json.loads(content.decode("utf-8"))
        number, sums = values["format"], values["sha256"]
        if not (isinstance(number, int) and isinstance(sums, dict)):
            raise TypeError("format must be a number and sha256 an object")
        if any(Path(name).name != name for name in sums):
            raise ValueError("sha256 must hold plain file names")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: not a manifest ({error}): fetch the folder again") from None
    if not _OLDEST <= number <= FORMAT:
        raise UserError(
            f"{path}: the folder has format {number}, and this seq2seq reads formats {_OLDEST} to "
            f"{FORMAT}: install the seq2seq that wrote it"
        )
    return Manifest(number, sums)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
