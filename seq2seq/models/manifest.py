"""The manifest of a model folder: the number of the folder's format, and a checksum of every file.

    {"format": 4, "sha256": {"config.toml": "…", "model.safetensors": "…", …}, "checksum": "…"}

Folders of format 3 have no manifest. Their configurations use older key names, which
`config.migration` converts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from seq2seq.checked_files import (
    TABLE_BYTES,
    check_file,
    check_sums,
    file_size,
    open_manifest,
    seal_manifest,
)
from seq2seq.errors import UserError
from seq2seq.files import sha256_of, write_new

FORMAT = 4
_OLDEST = 3
_NAME = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """The contents of a manifest.

    Attributes:
        format: The number of the folder's format.
        sha256: The SHA-256 checksums of the files in hexadecimal, by file name. Empty for format 3.
    """

    format: int
    sha256: dict[str, str]

    @property
    def has_checksums(self) -> bool:
        """Whether the manifest lists checksums. Folders of format 3 have none."""
        return self.format > _OLDEST

    def check(self, folder: Path, names: Collection[str], most: int = TABLE_BYTES) -> None:
        """Raise UserError if one of the named files is missing or does not match its checksum.

        most: The largest size of these files, in bytes.
        """
        for name in sorted(names):
            path = folder / name
            if self.has_checksums:
                check_file(
                    path,
                    self.sha256,
                    most,
                    f"copy the folder again, or delete {folder / _NAME} if you changed the file "
                    "yourself",
                )
            else:
                file_size(path)


def write_manifest(folder: Path) -> None:
    """Write the manifest of a model folder, with the checksums of all its files."""
    sums = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != _NAME}
    text = seal_manifest({"format": FORMAT, "sha256": sums})
    write_new(folder / _NAME, text.encode())


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a model folder. A folder without a manifest has format 3.

    Raises UserError if the manifest is not valid or its format is unknown. Raises OSError if the
    manifest cannot be read.
    """
    path = folder / _NAME
    if not path.exists():
        return Manifest(_OLDEST, {})
    try:
        values = open_manifest(path, ("format", "sha256"))
        number, sums = values["format"], check_sums(values["sha256"])
        if type(number) is not int:
            raise TypeError("the value of the key format must be a whole number")
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a valid manifest ({error}); copy the folder again") from None
    if number != FORMAT:
        raise UserError(
            f"{path}: the folder has format {number}, but this seq2seq reads only formats "
            f"{_OLDEST} to {FORMAT}; install the version of seq2seq that wrote the folder"
        )
    return Manifest(number, sums)
