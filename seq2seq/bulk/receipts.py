"""Receipts: small JSON files that say how the output of a finished shard was made.

A shard is translated again unless its receipt matches the current input, model and options.

    {"format": 1, "made_from": {"input": "sha256…", "model": ["sha256…"], "search": "…", …},
     "output": "sha256…", "lines": 1000, "notes": ["line 3: …"], "version": "0.2.0"}
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from seq2seq import __version__
from seq2seq.bulk.shards import Shard
from seq2seq.files import sha256_of, write_atomically

_FORMAT = 1
_CARD = "README.md"  # the card of a model folder, which users may edit


def model_digest(folder: Path) -> str:
    """Return a hash of all files of a model folder or an export except the model card."""
    hashed = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != _CARD:
            hashed.update(f"{path.name} {sha256_of(path)}\n".encode())
    return hashed.hexdigest()


def write_receipt(
    shard: Shard, made_from: dict[str, Any], output: str, lines: int, notes: list[str]
) -> None:
    """Write the receipt, a file that says how the output of a finished shard was made.

    made_from: the hashes of the input and the model, and the options.
    output: the hash of the output file.
    lines: the number of translated texts.
    notes: messages about single lines.
    """
    contents = {
        "format": _FORMAT,
        "made_from": made_from,
        "output": output,
        "lines": lines,
        "notes": notes,
        "version": __version__,
    }
    shard.receipt.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(contents, ensure_ascii=False, indent=1) + "\n"
    write_atomically(shard.receipt, text.encode("utf-8", "backslashreplace"))


def why_unfinished(shard: Shard, made_from: dict[str, Any]) -> str | None:
    """Return None if the output of a shard is complete and up to date.

    Otherwise return why an older output cannot be kept, or "" if there is no output yet.
    """
    if not shard.receipt.exists():
        return "its receipt is missing" if shard.output.exists() else ""
    try:
        receipt = json.loads(shard.receipt.read_text(encoding="utf-8"))
        before, output = receipt["made_from"], receipt["output"]
        if receipt["format"] != _FORMAT:
            return "its receipt has another format"
        changed = [name for name in made_from if before.get(name) != made_from[name]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "its receipt is damaged"
    if changed:
        return f"changed since: {', '.join(changed)}"
    if not shard.output.exists():
        return "its output is missing"
    return None if sha256_of(shard.output) == output else "its output was changed"
