"""Lines in and lines out, for every command that is a filter."""

from __future__ import annotations

import gzip
import logging
import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from seq2seq.decoding.micro_batches import waiting_windows, windows
from seq2seq.errors import UserError
from seq2seq.progress import Advance, is_terminal, show_progress

_log = logging.getLogger(__name__)


def decode_line(line: bytes, number: int) -> str:
    """One line without its newline as text; invalid bytes become U+FFFD, with a warning."""
    line = line.removesuffix(b"\n")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        _log.warning("line %d is not valid UTF-8: its invalid bytes are read as U+FFFD", number)
        return line.decode("utf-8", errors="replace")


def is_regular_file(stream: IO[bytes]) -> bool:
    """Whether all of it is there to be read, which is not said of a pipe or a terminal."""
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


@contextmanager
def show_line_progress(what: str, source: IO[bytes], sink: IO[bytes]) -> Iterator[Advance]:
    """On a terminal, show how many of the lines of `source` are done, unless `sink` writes to it
    too; yields a function to call with the number of lines that were just done."""
    wanted = is_terminal() and not sink.isatty()
    with show_progress(what, _count_lines(source) if wanted else None, wanted=wanted) as advance:
        yield advance


def _count_lines(stream: IO[bytes]) -> int | None:
    """The lines that are left in a file, without reading on in it; None for a pipe or a packed
    file, where nobody can tell."""
    if isinstance(cast(object, stream), gzip.GzipFile) or not is_regular_file(stream):
        return None
    file, count, last = stream.fileno(), 0, b"\n"
    position = os.lseek(file, 0, os.SEEK_CUR)
    while chunk := os.pread(file, 1 << 20, position):
        count, position, last = count + chunk.count(b"\n"), position + len(chunk), chunk[-1:]
    return count + (last != b"\n")


def read_windows(stream: IO[bytes], size: int) -> Iterator[list[str]]:
    """The lines of a stream in lists of at most `size`.

    A file is read as fast as it can be. From a pipe or a terminal a list is what has come so far,
    so that someone who types one line, or a program that waits for its answer, gets it now.
    """
    if is_regular_file(stream):
        numbered = enumerate(stream, start=1)
        yield from windows((decode_line(line, number) for number, line in numbered), size)
        return
    waiting: queue.Queue[str | BaseException | None] = queue.Queue(maxsize=size)
    # A file object of the thread's own: one that the main thread knows (stdin) would be closed
    # when the program ends, and Python aborts where a thread still waits inside it.
    own = os.fdopen(os.dup(stream.fileno()), "rb")

    def read() -> None:
        try:
            for number, line in enumerate(own, start=1):
                waiting.put(decode_line(line, number))
            waiting.put(None)
        except BaseException as error:  # handed to the thread that waits for lines
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    # What a program writes in one go comes as one window.
    yield from waiting_windows(waiting, size, patience=0.02)


@contextmanager
def open_source(path: Path | None) -> Iterator[IO[bytes]]:
    """A file (`.gz`: unpacked), or stdin for None and `-`. Raises UserError for one that cannot be
    read."""
    if path is None or str(path) == "-":
        yield sys.stdin.buffer
        return
    from seq2seq.text.lines import open_input

    with open_input(path) as stream:
        yield stream


@contextmanager
def open_sink(path: Path | None, inputs: list[Path | None]) -> Iterator[IO[bytes]]:
    """stdout for None and `-`, or a file that takes its name when all lines are written; a link
    stays one, and what it names is written. Lines that were written before something went wrong are
    kept beside it, in a file whose name ends in `.part`.

    Raises UserError where the output is one of the inputs, or is named as if it were packed.
    """
    if path is None or _is_stdout(path):
        output = os.fstat(sys.stdout.fileno())
        for input_path in inputs:
            status = (
                input_path.stat()
                if input_path and str(input_path) != "-"
                else os.fstat(sys.stdin.fileno())
            )
            if stat.S_ISREG(output.st_mode) and os.path.samestat(status, output):
                raise UserError("the output is the input itself: write to another file")
        yield sys.stdout.buffer
        return
    from seq2seq.files import atomic_file

    for input_path in inputs:
        if (
            input_path is not None
            and path.exists()
            and input_path.exists()
            and path.samefile(input_path)
        ):
            raise UserError(f"{path}: the output is the input itself: name another file with -o")
    if path.suffix == ".gz":
        raise UserError(f"{path}: lines are written as they are: name a file without .gz")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist")
    if path.exists() and not path.is_file():
        with path.open("wb") as device:  # a named pipe
            yield device
        return
    with atomic_file(path) as aside:
        try:
            with aside.open("wb") as stream:
                yield stream
        except BaseException:  # Ctrl-C too: what took hours is not thrown away
            if aside.exists() and aside.stat().st_size:
                part = path.with_name(f"{path.name}.part")
                aside.replace(part)
                _log.warning("%s holds the lines that were done", part)
            raise


def require_separate_file(path: Path, option: str, output: Path | None) -> None:
    """Raises UserError where `path` is stdout, or `output`, or no plain file."""
    same = output is not None and path.resolve() == output.resolve()
    if same or _is_stdout(path) or (path.exists() and not path.is_file()):
        raise UserError(f"{option} {path}: name a file of its own: nothing else may go there")


def _is_stdout(path: Path) -> bool:
    """`-`, /dev/stdout, or the file that stdout goes to."""
    if str(path) == "-":
        return True
    return path.exists() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))


def read_all_lines(path: Path) -> list[str]:
    """All lines of a file (`.gz`: unpacked) or, for `-`, of stdin, strictly.

    Raises UserError, naming file and line.
    """
    from seq2seq.text.lines import decode_lines, read_lines

    return list(decode_lines(sys.stdin.buffer, "-") if str(path) == "-" else read_lines(path))


def read_parallel_lines(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """All lines of two files that belong together, line by line; as `read_all_lines`.

    Raises UserError, too, where one has more lines.
    """
    sources, targets = read_all_lines(source), read_all_lines(target)
    if len(sources) != len(targets):
        raise UserError(
            f"{source} has {len(sources):,} lines and {target} {len(targets):,}: line n of one "
            "must belong to line n of the other"
        )
    return sources, targets
