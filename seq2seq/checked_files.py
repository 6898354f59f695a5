"""Read files that may be damaged or that a stranger wrote, and check them against a manifest.

Only regular files of a bounded size are read, so a named pipe or an endless device cannot block or
fill the program. A manifest is a JSON file with the SHA-256 checksum of every file of a folder. Its
last key, `checksum`, is the checksum of the manifest itself.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from seq2seq.errors import UserError
from seq2seq.files import sha256_of

TABLE_BYTES = 1 << 28  # the largest size of a vocabulary or a table
JSON_BYTES = 25_000_000  # Python needs up to 30 times as much memory for the values
_MANIFEST_BYTES = 1 << 20
_SEAL = "checksum"


def file_size(path: Path) -> int:
    """Return the size of a regular file in bytes. A symbolic link to a regular file is allowed.

    Raises UserError if the file is not a regular file. Raises OSError if there is no such file.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: this is not a regular file; replace it by a regular file")
    return status.st_size


def read_bounded(path: Path, most: int, *, regular: bool = True) -> bytes:
    """Return the content of a file of at most `most` bytes.

    regular: Whether the file must be a regular file. If not, it may also be a pipe.

    Raises UserError if the file is larger or has the wrong type. Raises OSError if the file cannot
    be read.
    """
    if regular:
        file_size(path)
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UserError(f"{path}: the file is larger than {most:,} bytes; use a smaller file")
    return content


def read_json_text(content: str | bytes) -> Any:
    """Return the value of a JSON text, in bounded time and memory.

    Raises ValueError if the text is not valid JSON, is nested too deeply, or is too large.
    """
    if len(content) > JSON_BYTES:
        raise ValueError(f"the file is larger than {JSON_BYTES:,} bytes")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("the JSON values are nested too deeply") from None


def seal_manifest(values: Mapping[str, Any]) -> str:
    """Return the text of a manifest with the given values and its own checksum."""
    digest = hashlib.sha256(json.dumps(values, indent=2).encode()).hexdigest()
    return json.dumps({**values, _SEAL: digest}, indent=2) + "\n"


def open_manifest(path: Path, known: Collection[str]) -> dict[str, Any]:
    """Return the values of a manifest, without its own checksum.

    Manifests of older versions have no checksum of their own. They are read without that check.

    known: The keys that a manifest may have.

    Raises ValueError if the file is not the text that `seal_manifest` returned. Raises UserError
    and OSError as `read_bounded` does.
    """
    text = read_bounded(path, _MANIFEST_BYTES).decode("utf-8")
    values = read_json_text(text)
    if not isinstance(values, dict):
        raise ValueError("the file is not a JSON object")
    sealed = values.pop(_SEAL, None) is not None
    if unknown := sorted(values.keys() - known):
        raise ValueError(f"the file has the unknown key {unknown[0]!r}")
    if sealed and seal_manifest(values) != text:
        raise ValueError("the file does not match the checksum that it contains")
    return values


def check_sums(sums: object) -> dict[str, str]:
    """Return the checksums of a manifest, by file name. Raises ValueError if they are not valid."""
    if not isinstance(sums, dict) or not all(isinstance(value, str) for value in sums.values()):
        raise ValueError("the value of the key sha256 must map file names to checksums")
    if any(Path(name).name != name for name in sums):
        raise ValueError("the file names under the key sha256 must not contain folders")
    return sums


def check_file(path: Path, sums: Mapping[str, str], most: int, advice: str) -> None:
    """Check that a file of a folder is complete and undamaged.

    sums: The checksums of the folder's manifest, by file name.
    most: The largest size of the file, in bytes.
    advice: What the user can do about a damaged file, as the end of the message.

    Raises UserError if the file is missing, is too large, is not a regular file, or does not match
    its checksum. Raises OSError if it cannot be read.
    """
    try:
        size = file_size(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: the folder is not complete; {advice}") from None
    if size > most:
        raise UserError(f"{path}: the file is larger than {most:,} bytes; {advice}")
    if sha256_of(path) != sums.get(path.name):
        raise UserError(f"{path}: the file does not match its checksum; {advice}")
