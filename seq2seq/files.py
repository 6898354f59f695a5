"""Write files and folders atomically.

An interrupted write never leaves a partly written file under its final name.
"""

from __future__ import annotations

import ctypes
import glob
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from seq2seq.errors import UserError, file_error


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
def _lock(path: Path) -> Iterator[bool]:
    """Try to hold a lock on a file or folder while the block runs. Yield whether it is locked."""
    import fcntl  # not on Windows

    held = os.open(path, os.O_RDONLY)
    try:
        locked = False
        with suppress(OSError):  # another process holds the lock, or the file system has no locks
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            locked = True
        yield locked
    finally:
        os.close(held)


def delete_leftovers(path: Path) -> None:
    """Delete the temporary files and folders that killed processes left when they wrote `path`.

    Files of running processes are kept. A running process holds a lock on its file. On this
    machine, its process number is checked too, because it creates the file before it locks it.
    """
    path, node = path.resolve(), os.uname().nodename
    for left in path.parent.glob(f".{glob.escape(path.name)}.*-*.part"):
        owner, _, number = left.stem.removeprefix(f".{path.name}.").rpartition("-")
        if not number.isdecimal() or (owner == node and _is_running(int(number))):
            continue
        with suppress(OSError), _lock(left) as locked:
            if locked and left.is_dir():
                shutil.rmtree(left)
            elif locked:
                left.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


@contextmanager
def name_in_errors(path: Path, aside: Path | None = None) -> Iterator[None]:
    """Set the file name of an OSError in the `with` block.

    An error without a file name, or with the name of the folder that contains `path`, gets the name
    `path`. If an error names a file inside the temporary folder `aside`, the name is changed to the
    same file inside `path`.
    """
    try:
        yield
    except OSError as error:
        name = path if error.filename is None else Path(os.fsdecode(error.filename))
        if aside is not None and name.is_relative_to(aside):
            name = path / name.relative_to(aside)
        elif name == path.resolve().parent:
            name = path
        if error.errno is not None:
            error.filename, error.filename2 = str(name), None
        raise


def write_new(path: Path, content: bytes) -> None:
    """Write a file inside a temporary folder, not atomically. An OSError names the file."""
    with name_in_errors(path):
        path.write_bytes(content)


def delete_folder(path: Path) -> None:
    """Delete a folder. It is renamed first, so that its path never shows a half-deleted folder."""
    aside = _temporary_path(path)
    with suppress(OSError):
        path.replace(aside)
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to. Rename the file to `path` when the `with` block succeeds.

    If the block raises an exception, the temporary file is deleted and `path` stays unchanged. If
    `path` is a symbolic link, the target of the link is replaced and the link is kept.
    """
    wanted, path = path, path.resolve()
    aside = _temporary_path(path)
    try:
        with name_in_errors(wanted, aside):
            aside.touch()
            with _lock(aside):
                yield aside
                _sync(aside)
                aside.replace(path)
                _sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder to fill. Rename the folder to `path` when the `with` block succeeds.

    An existing folder `path` is replaced as a whole. Temporary folders that killed processes left
    are deleted first. If the block raises an exception, the temporary folder is deleted and `path`
    stays unchanged.
    """
    aside = _temporary_path(path)
    new = not path.parent.exists()
    delete_leftovers(path)
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with name_in_errors(path, aside):
            aside.mkdir(parents=True)
            with _lock(aside):
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

    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    with name_in_errors(folder):
        for path in new:  # so that the folder itself survives a power failure
            _sync(path.parent)
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
        raise file_error("written", path, error) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 checksum of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
