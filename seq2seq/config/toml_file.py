"""Read TOML that may be damaged or that a stranger wrote, in bounded time and memory."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from seq2seq.checked_files import read_bounded
from seq2seq.errors import UserError
from seq2seq.file_types import why_not_text

CONFIG_BYTES = 1 << 19
# The time and the memory of Python's reader grow with the square of the dots in a key.
_DOTS = 200


def read_toml(path: Path, *, regular: bool = True) -> dict[str, Any]:
    """Return the values in a TOML file.

    regular: Whether the file must be a regular file. If not, it may also be a pipe.

    Raises UserError if the file is not valid TOML or is too large. Raises OSError if it cannot be
    read.
    """
    content = read_bounded(path, CONFIG_BYTES, regular=regular)
    if (problem := why_not_text(content)) is not None:
        raise UserError(f"{path}: the file {problem}")
    try:
        return parse_toml(content.decode("utf-8-sig"))
    except ValueError as error:
        raise UserError(f"{path}: the file cannot be read as TOML: {error}; fix the file") from None


def parse_toml(text: str) -> dict[str, Any]:
    """Return the values of a TOML text. Raises ValueError if the text is not valid TOML."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.count(".") > _DOTS:
            raise ValueError(
                f"line {number} has more than {_DOTS} dots, so its keys may be nested too deeply"
            )
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("the TOML values are nested too deeply") from None
