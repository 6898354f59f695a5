"""Read and write lines of text, for the commands that turn input lines into output lines."""

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
    """Decode a line as UTF-8, without its newline. Invalid bytes become U+FFFD, with a warning.

    number: The line number for the warning, counted from 1.
    """
    line = line.removesuffix(b"\n")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        _log.warning("line %d is not valid UTF-8; its invalid bytes are read as U+FFFD", number)
        return line.decode("utf-8", errors="replace")


def is_regular_file(stream: IO[bytes]) -> bool:
    """Return whether a stream is a regular file. A pipe or a terminal may have to be waited for."""
    return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)


@contextmanager
def show_line_progress(what: str, source: IO[bytes], sink: IO[bytes]) -> Iterator[Advance]:
    """Show a progress bar over the lines of `source` while the block runs.

    There is no bar if stderr is not a terminal, or if `sink` is one. Yields a function. Call it
    with the number of lines that were completed since the last call.
    """
    wanted = is_terminal() and not sink.isatty()
    with show_progress(what, _count_lines(source) if wanted else None, wanted=wanted) as advance:
        yield advance


def _count_lines(stream: IO[bytes]) -> int | None:
    """Count the remaining lines of a file without moving its read position.

    Returns None for a pipe and for a gzip file, whose lines cannot be counted in advance.
    """
    if isinstance(cast(object, stream), gzip.GzipFile) or not is_regular_file(stream):
        return None
    file, count, last = stream.fileno(), 0, b"\n"
    position = os.lseek(file, 0, os.SEEK_CUR)
    while chunk := os.pread(file, 1 << 20, position):
        count, position, last = count + chunk.count(b"\n"), position + len(chunk), chunk[-1:]
    return count + (last != b"\n")


def read_windows(stream: IO[bytes], size: int) -> Iterator[list[str]]:
    """Yield the lines of a stream in lists of at most `size` lines.

    From a file, every list but the last is full. From a pipe or a terminal, a list holds the lines
    that have arrived so far, so that a user or program that sends one line gets its answer at once.
    """
    if is_regular_file(stream):
        numbered = enumerate(stream, start=1)
        yield from windows((decode_line(line, number) for number, line in numbered), size)
        return
    waiting: queue.Queue[str | BaseException | None] = queue.Queue(maxsize=size)
    # The thread needs its own file object. Python closes stdin when the program ends, and aborts if
    # a thread is still reading from it.
    own = os.fdopen(os.dup(stream.fileno()), "rb")

    def read() -> None:
        """Put the decoded lines into the queue, and None after the last one."""
        try:
            for number, line in enumerate(own, start=1):
                waiting.put(decode_line(line, number))
            waiting.put(None)
        except BaseException as error:  # raised again in the thread that reads the queue
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    # Wait 20 ms for further lines, so that lines that a program writes together stay together.
    yield from waiting_windows(waiting, size, patience=0.02)


@contextmanager
def open_source(path: Path | None) -> Iterator[IO[bytes]]:
    """Open a file for reading, or stdin if `path` is None or `-`. A `.gz` file is decompressed.

    Raises UserError if the file cannot be read.
    """
    if path is None or str(path) == "-":
        yield sys.stdin.buffer
        return
    from seq2seq.text.lines import open_input

    with open_input(path) as stream:
        yield stream


@contextmanager
def open_sink(path: Path | None, inputs: list[Path | None]) -> Iterator[IO[bytes]]:
    """Open a file for writing, or stdout if `path` is None or `-`.

    The file gets its name only when the block succeeds. After an error, the lines that were already
    written are kept beside it, in a file whose name ends in `.part`. If `path` is a symbolic link,
    its target is written.

    Raises UserError if the output is one of the inputs, if its name ends in `.gz`, or if its folder
    does not exist.
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
                raise UserError("the output is also the input; write to another file")
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
            raise UserError(f"{path}: the output is also the input; name another output file")
    if path.suffix == ".gz":
        raise UserError(f"{path}: the output cannot be compressed; choose a name without .gz")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.exists() and not path.is_file():
        with path.open("wb") as device:  # such as a named pipe
            yield device
        return
    with atomic_file(path) as aside:
        try:
            with aside.open("wb") as stream:
                yield stream
        except BaseException:  # also after Ctrl-C, because the lines may have taken hours
            if aside.exists() and aside.stat().st_size:
                part = path.with_name(f"{path.name}.part")
                aside.replace(part)
                _log.warning("the command did not finish; %s holds the lines written so far", part)
            raise


def require_separate_file(path: Path, option: str, output: Path | None) -> None:
    """Raise UserError if `path` is stdout, is the file `output`, or is not a regular file.

    option: The name of the option that gave `path`, for the message.
    """
    same = output is not None and path.resolve() == output.resolve()
    if same or _is_stdout(path) or (path.exists() and not path.is_file()):
        raise UserError(f"{option} {path}: name a separate file, which is not the output or stdout")


def _is_stdout(path: Path) -> bool:
    """Return whether a path is `-`, /dev/stdout, or the file that stdout is redirected to."""
    if str(path) == "-":
        return True
    return path.exists() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))


def read_all_lines(path: Path) -> list[str]:
    """Read all lines of a file, or of stdin if `path` is `-`. A `.gz` file is decompressed.

    Raises UserError, with file and line, for a line that is not UTF-8.
    """
    from seq2seq.text.lines import decode_lines, read_lines

    return list(decode_lines(sys.stdin.buffer, "-") if str(path) == "-" else read_lines(path))


def read_parallel_lines(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Read a source file and a target file, whose lines with the same number belong together.

    Raises UserError if the files differ in their number of lines, and as `read_all_lines` does.
    """
    sources, targets = read_all_lines(source), read_all_lines(target)
    if len(sources) != len(targets):
        raise UserError(
            f"{source} has {len(sources):,} lines, but {target} has {len(targets):,}; line n of "
            "one file must belong to line n of the other"
        )
    return sources, targets
