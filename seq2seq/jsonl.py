"""Read JSON Lines files, and append lines to them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from seq2seq.errors import UserError, file_error


def append_line(path: Path, line: str) -> None:
    """Append a line to a file. A missing file is created. If the write fails, nothing is appended.

    The line is written in a single call in append mode, so lines from two programs do not mix. When
    this function returns, the line is on the disk.

    line: The text to append, without a newline.

    Raises UserError if the file cannot be written. Also raises UserError if the last line of the
    file has no newline, because an interrupted write left it incomplete. Otherwise the new line
    would be joined to the incomplete line.
    """
    try:
        existing = path.read_bytes() if path.exists() else b""
        if existing and not existing.endswith(b"\n"):
            raise _truncated_line(path, existing.count(b"\n") + 1)
        # A file name may hold bytes that are not UTF-8. They are written as JSON escapes.
        content = line.encode(errors="backslashreplace") + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            written = os.write(descriptor, content)
            if written < len(content):
                # A full disk takes only part of a line. Cut off this part, and nothing else.
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR) - written)
                raise OSError("only part of the line could be written; the disk may be full")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise file_error("written", path, error) from error


def read_jsonl(path: Path, *, growing: bool = False) -> list[tuple[int, dict[str, Any]]]:
    """Read a JSON Lines file. Return each object with its line number, counted from 1.

    Blank lines are skipped.

    Args:
        path: The file.
        growing: Whether another program may still be writing the file. If so, an incomplete last
            line is skipped. If not, it raises an error.

    Raises UserError if the file cannot be read or a line is not a JSON object. The message names
    the file and the line.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise file_error("read", path, error) from error
    objects = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            # Only the last piece of the split may be a line without a newline.
            if number < len(lines):
                raise UserError(
                    f"{path}:{number}: the line is invalid JSON ({error}); fix the line"
                ) from error
            if not growing:
                raise _truncated_line(path, number) from error
            continue
        if not isinstance(row, dict):
            raise UserError(
                f"{path}:{number}: the line is not a JSON object; fix or delete the line"
            )
        objects.append((number, row))
    return objects


def _truncated_line(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}:{number}: the last line is incomplete because an earlier write was interrupted; "
        "delete the line, or complete it and end it with a newline"
    )
