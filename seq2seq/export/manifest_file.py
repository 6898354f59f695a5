"""The file that marks a folder as an export. This module has no slow imports."""

from __future__ import annotations

from pathlib import Path

from seq2seq.errors import closed_folder

MANIFEST_NAME = "export.json"


def is_export(folder: str | Path) -> bool:
    """Return whether a folder is an exported model. Raises UserError if it cannot be opened."""
    try:
        return (Path(folder) / MANIFEST_NAME).is_file()
    except PermissionError as error:
        raise closed_folder(folder, error) from None
