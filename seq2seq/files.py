"""Files that are whole or not there (promise 4), and files of one JSON object a line."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seq2seq.errors import UserError


def _sync(path: Path) -> None:
    """Have the disk hold what was written, so that a rename never precedes its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_path(path: Path) -> Path:
    """The name of what is not whole yet: no other process's, on another host neither."""
    return path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.part")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the name of `path` only if all went well.

    Where that is a link, what it names is replaced, and the link stays.
    """
    path = path.resolve()
    aside = _temporary_path(path)
    try:
        yield aside
        _sync(aside)
        aside.replace(path)
        _sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """The same for a folder. One that has the name already is replaced as a whole."""
    aside = _temporary_path(path)
    new = not path.parent.exists()
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        for file in [*aside.rglob("*"), aside]:
            _sync(file)
        if path.exists():
            _swap(aside, path)
        else:
            aside.replace(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if new:  # and nothing came of it: leave no trace
            with suppress(OSError):
                path.parent.rmdir()


def _swap(path: Path, target: Path) -> None:
    """Swap two names in one step, so that neither is missing at any moment (Linux)."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename is not None and (
        rename(here, os.fsencode(path), here, os.fsencode(target), exchange) == 0
    ):
        return
    # Elsewhere (on a network's file system) there is a moment without the name, which
    # `finish_interrupted_swap` ends for one that was killed in it, never one with half a folder
    # under it.
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.replace(old)
    path.replace(target)
    old.replace(path)


def finish_interrupted_swap(folder: Path) -> None:
    """Give what was being replaced in a folder its name again, or take it away if that is done."""
    for old in folder.glob(".*.old"):
        path = folder / old.name[1:].rsplit(".", 2)[0]
        if path.exists():
            shutil.rmtree(old)
        else:
            old.replace(path)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that its name only ever holds the old content or all of the new.

    Raises UserError where the system refuses (no such folder, no permission, disk full).
    """
    try:
        with atomic_file(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise _io_error("written", path, error) from error


def append_line(path: Path, line: str) -> None:
    """Adds one line (given without its newline) to a file, all of it or nothing.

    It is one write in append mode, so lines from two programs do not mix, and it is on the disk
    when this returns. The file is made when missing.

    Raises UserError where the last line of the file has no newline (an earlier write was cut
    short, and ours would be glued to it), and where the system refuses.
    """
    try:
        existing = path.read_bytes() if path.exists() else b""
        if existing and not existing.endswith(b"\n"):
            raise _truncated_line(path, existing.count(b"\n") + 1)
        # Bytes of a file name that are no text become JSON's own escape for them.
        content = line.encode(errors="backslashreplace") + b"\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            written = os.write(descriptor, content)
            if written < len(content):
                # A full disk takes part of a line: take it back, and no other program's line.
                os.ftruncate(descriptor, os.lseek(descriptor, 0, os.SEEK_CUR) - written)
                raise OSError("the disk took only a part of the line")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _io_error("written", path, error) from error


def read_jsonl(path: Path, *, growing: bool = False) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file of one a line, each with its line number (from 1).

    Blank lines are passed over. In a file that a running program may still be writing
    (``growing``) so is a last line without its newline, when it is not whole yet.

    Raises UserError, naming file and line, for anything that is not a JSON object.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise _io_error("read", path, error) from error
    objects = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode())
        except (ValueError, RecursionError) as error:
            # After the last newline comes an empty piece, or a line that never got its end.
            if number < len(lines):
                raise UserError(f"{path}:{number}: not JSON ({error}): mend the line") from error
            if not growing:
                raise _truncated_line(path, number) from error
            continue
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number}: not a JSON object: mend or delete the line")
        objects.append((number, row))
    return objects


def _truncated_line(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}:{number}: the last line has no end, an earlier write was cut short: "
        "delete the line, or complete it with a newline"
    )


def _io_error(verb: str, path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(f"{path}: cannot be {verb} ({reason}): check the path, the rights, the disk")
