"""Read and write lines of text. All commands that process text line by line use this module."""

from __future__ import annotations

import io
import logging
import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from seq2seq.decoding.micro_batches import waiting_windows, windows
from seq2seq.errors import UserError, counted
from seq2seq.progress import Advance, is_terminal, show_progress

_log = logging.getLogger(__name__)

_FIRST_WINDOW = 64  # lines


def decode_line(line: bytes, number: int) -> str:
    r"""Return a line decoded from UTF-8, without its line end and, in line 1, a byte order mark.

    Invalid bytes become U+FFFD, and a warning names the line.

    number: The line number for the warning, counted from 1.
    Raises UserError if line 1 shows that the input is compressed or encoded in UTF-16.
    """
    from seq2seq.text.lines import line_text

    try:
        return line_text(line, number, "the input")
    except UnicodeDecodeError:
        _log.warning("line %d is not valid UTF-8; its invalid bytes are read as U+FFFD", number)
        return line_text(line, number, "the input", errors="replace")


def is_regular_file(stream: IO[bytes]) -> bool:
    """Return whether a stream is a regular file rather than a pipe or a terminal."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except OSError:  # a file that a library decompresses has no file number
        return True


@contextmanager
def show_line_progress(what: str, source: IO[bytes], sink: IO[bytes]) -> Iterator[Advance]:
    """Show a progress bar over the lines of `source` while the block runs.

    No bar appears if stderr is not a terminal, or if `sink` is a terminal. Yields a function that
    advances the bar. Its argument is the number of lines completed since the last call.
    """
    wanted = is_terminal() and not sink.isatty()
    with show_progress(what, _count_lines(source) if wanted else None, wanted=wanted) as advance:
        yield advance


def _count_lines(stream: IO[bytes]) -> int | None:
    """Return the number of remaining lines in a file, without moving the read position.

    Returns None for a pipe or a compressed file, because their lines cannot be counted in advance.
    """
    if not isinstance(getattr(stream, "raw", stream), io.FileIO) or not is_regular_file(stream):
        return None
    file, count, last = stream.fileno(), 0, b"\n"
    position = os.lseek(file, 0, os.SEEK_CUR)
    while chunk := os.pread(file, 1 << 20, position):
        count, position, last = count + chunk.count(b"\n"), position + len(chunk), chunk[-1:]
    return count + (last != b"\n")


def read_windows(stream: IO[bytes], size: int) -> Iterator[list[str]]:
    """Yield the lines of a stream in lists of at most `size` lines.

    The first lists are shorter, so that the first results appear soon. If the stream is a file, all
    later lists except the last have `size` lines. If the stream is a pipe or a terminal, a list
    holds the lines that have arrived so far. A user who sends one line therefore gets an answer at
    once.
    """
    if is_regular_file(stream):
        numbered = enumerate(stream, start=1)
        yield from windows(
            (decode_line(line, number) for number, line in numbered), size, first=_FIRST_WINDOW
        )
        return
    waiting: queue.Queue[str | BaseException | None] = queue.Queue(maxsize=size)
    # The thread needs its own file object. Python closes stdin when the program ends, and aborts if
    # a thread is still reading from it.
    own = os.fdopen(os.dup(stream.fileno()), "rb")

    def read() -> None:
        try:
            for number, line in enumerate(own, start=1):
                waiting.put(decode_line(line, number))
            waiting.put(None)
        except BaseException as error:  # raised again in the thread that reads the queue
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    # Wait 20 ms for further lines, so that lines that a program writes together stay together.
    yield from waiting_windows(waiting, size, patience=0.02, first=_FIRST_WINDOW)


@contextmanager
def open_source(path: Path | None, model: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a file for reading, or stdin if `path` is None or `-`. Compressed files are unpacked.

    model: A model folder. If the file is a table, yield the lines of the column that the model
        reads. Without a model, a table is read as plain lines.
    Raises UserError if the file cannot be read.
    """
    if path is None or str(path) == "-":
        yield sys.stdin.buffer
        return
    from seq2seq.text.data_files import is_table
    from seq2seq.text.lines import open_input

    if model is not None and is_table(path):
        from seq2seq.cli.table_input import open_column

        with open_column(path, model) as stream:
            yield stream
        return

    with open_input(path) as stream:
        yield stream


@contextmanager
def open_sink(path: Path | None, inputs: list[Path | None]) -> Iterator[IO[bytes]]:
    """Open a file for writing, or stdout if `path` is None or `-`.

    The output has a temporary name until the block succeeds. After an error, the lines written so
    far are kept in a file with the ending `.part` in the same folder. If `path` is a symbolic link,
    the target of the link is written.

    Raises UserError if the output is one of the inputs, if its name ends like that of a compressed
    file, or if its folder does not exist.
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
                raise UserError("the output is also the input file; write to another file")
        yield sys.stdout.buffer
        return
    from seq2seq.file_types import PACKED_SUFFIXES
    from seq2seq.files import atomic_file, delete_leftovers, name_in_errors

    for input_path in inputs:
        if (
            input_path is not None
            and path.exists()
            and input_path.exists()
            and path.samefile(input_path)
        ):
            raise UserError(f"{path}: the output is also the input; choose another output file")
    if (suffix := path.suffix) in PACKED_SUFFIXES:
        raise UserError(
            f"{path}: the output is never compressed; choose a name that does not end in {suffix}"
        )
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
    if path.exists() and not path.is_file():
        with name_in_errors(path), path.open("wb") as device:  # such as a named pipe
            yield device
        return
    delete_leftovers(path)
    with atomic_file(path) as aside:
        try:
            with aside.open("wb") as stream:
                yield stream
        except BaseException:  # also after Ctrl-C, because the lines may have taken hours
            if aside.exists() and aside.stat().st_size:
                part = path.with_name(f"{path.name}.part")
                aside.replace(part)
                _log.warning("the command did not finish; the lines written so far are in %s", part)
            raise


def require_separate_file(path: Path, option: str, output: Path | None) -> None:
    """Raise UserError if `path` is stdout, is the file `output`, or is not a regular file.

    option: The name of the option that gave `path`, for the message.
    """
    same = output is not None and path.resolve() == output.resolve()
    if same or _is_stdout(path) or (path.exists() and not path.is_file()):
        raise UserError(
            f"{option} {path}: name a separate file, not stdout or the file of the main output"
        )


def _is_stdout(path: Path) -> bool:
    """Return whether a path is `-`, /dev/stdout, or the file that stdout is redirected to."""
    if str(path) == "-":
        return True
    return path.exists() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))


def read_all_lines(path: Path) -> list[str]:
    """Return all lines of a file, or of stdin if `path` is `-`. Decompress compressed files.

    Raises UserError for a line that is not UTF-8, and for a table whose rows are not lines of text.
    The message names the file and, for a line, its number.
    """
    from seq2seq.text.lines import decode_lines, read_lines
    from seq2seq.text.tables import table_format

    if (kind := table_format(path)) not in (None, "tsv", "conllu"):
        raise UserError(
            f"{path}: the file is a table ({kind}); write the wanted column into a text file with "
            "one text per line, and name that file"
        )
    return list(decode_lines(sys.stdin.buffer, "-") if str(path) == "-" else read_lines(path))


def read_parallel_lines(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Return the lines of a source file and of a target file with equally many lines.

    Raises UserError if the numbers of lines differ or if a line is not UTF-8.
    """
    sources, targets = read_all_lines(source), read_all_lines(target)
    if len(sources) != len(targets):
        raise UserError(
            f"{source} has {counted(len(sources), 'line')}, but {target} has {len(targets):,}; "
            "give two files with the same number of lines"
        )
    return sources, targets
