"""Write files and folders atomically, and read JSON Lines files.

An interrupted write never leaves a partly written file under its final name.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seq2seq.errors import UserError


def _sync(path: Path) -> None:
    """Flush a file or folder to the disk (fsync).

    After a rename of the file or folder, even a power failure then leaves the content complete.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_path(path: Path) -> Path:
    """Return a hidden path in the same folder as `path` that no other process uses."""
    return path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.part")


@contextmanager
def _name_in_errors(path: Path, aside: Path) -> Iterator[None]:
    """Let an OSError in the `with` block name `path` instead of the temporary path `aside`."""
    try:
        yield
    except OSError as error:
        name = Path(str(error.filename))
        if name.is_relative_to(aside):
            error.filename, error.filename2 = str(path / name.relative_to(aside)), None
        raise


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. Rename the file to `path` when the `with` block succeeds.

    If the block raises an exception, the temporary file is deleted and `path` stays unchanged. If
    `path` is a symbolic link, the target of the link is replaced and the link is kept.
    """
    wanted, path = path, path.resolve()
    aside = _temporary_path(path)
    try:
        with _name_in_errors(wanted, aside):
            yield aside
            _sync(aside)
            aside.replace(path)
            _sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill. Rename the folder to `path` when the `with` block succeeds.

    An existing folder `path` is replaced as a whole. If the block raises an exception, the
    temporary folder is deleted and `path` stays unchanged.
    """
    aside = _temporary_path(path)
    new = not path.parent.exists()
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with _name_in_errors(path, aside):
            aside.mkdir(parents=True)
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
        if new:  # remove the parent folder if the write failed and left it empty
            with suppress(OSError):
                path.parent.rmdir()


def _swap(path: Path, target: Path) -> None:
    """Exchange two folders in one atomic step, so that both names exist at every moment.

    If the system cannot do this, rename the folders one after the other.
    """
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    if rename is not None and (
        rename(here, os.fsencode(path), here, os.fsencode(target), exchange) == 0
    ):
        return
    # Network file systems may lack the exchange. Then `target` is missing for a moment, but it
    # never names a partly written folder. If the process is killed at that moment,
    # `finish_interrupted_swap` restores the name later.
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.replace(old)
    path.replace(target)
    old.replace(path)


def finish_interrupted_swap(folder: Path) -> None:
    """Clean up after a process that was killed while it replaced something in `folder`.

    If the new version is missing, restore the old version. Otherwise delete the old version.
    """
    for old in folder.glob(".*.old"):
        path = folder / old.name[1:].rsplit(".", 2)[0]
        if path.exists():
            shutil.rmtree(old)
        else:
            old.replace(path)


@contextmanager
def locked_folder(folder: Path, problem: str) -> Iterator[None]:
    """Create a folder if it is missing, and hold a lock on the folder while the block runs.

    If the file system does not support locks, the folder is used without a lock. Raises UserError
    with the text `problem` if another process holds the lock.
    """
    import fcntl  # not on Windows

    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{folder}: {problem}") from None
        yield
    finally:
        os.close(held)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to a file. The file keeps its old content until the write is complete.

    Raises UserError if the file cannot be written (no such folder, no permission, disk full).
    """
    try:
        with atomic_file(path) as aside:
            aside.write_bytes(content)
    except OSError as error:
        raise _io_error("written", path, error) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        raise _io_error("written", path, error) from error


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
        raise _io_error("read", path, error) from error
    objects = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig"))
        except (ValueError, RecursionError) as error:
            # Only the last piece of the split may be a line without a newline.
            if number < len(lines):
                raise UserError(f"{path}:{number}: invalid JSON ({error}); fix the line") from error
            if not growing:
                raise _truncated_line(path, number) from error
            continue
        if not isinstance(row, dict):
            raise UserError(f"{path}:{number}: the line is not a JSON object; fix or delete it")
        objects.append((number, row))
    return objects


def _truncated_line(path: Path, number: int) -> UserError:
    return UserError(
        f"{path}:{number}: the last line is incomplete because an earlier write was interrupted; "
        "delete the line, or complete it and end it with a newline"
    )


def _io_error(verb: str, path: Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    return UserError(
        f"{path}: cannot be {verb} ({reason}); check the path, the permissions and the disk space"
    )
