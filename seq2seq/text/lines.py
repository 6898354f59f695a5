r"""Read lines of UTF-8 text. Only `\n` ends a line, and invalid UTF-8 is an error."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from seq2seq.errors import UserError


def decode_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    r"""Yield the lines of a stream, without the "\n" at their ends.

    Only "\n" ends a line: "\r", U+2028, U+0085 and NUL stay in the line. The last line may lack its
    "\n". A byte order mark at the start of the stream is dropped.

    name: The name of the stream, for error messages.
    Raises UserError, with the line and byte number (from 1), for bytes that are not UTF-8.
    """
    for number, line in enumerate(stream, 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}:{number}: not UTF-8 at byte {error.start + 1} of the line "
                f"(0x{line[error.start]:02x}); convert the file, for example with iconv -t UTF-8"
            ) from None
        if number == 1:
            text = text.removeprefix("\ufeff")
            if not text:  # the stream contains nothing but a byte order mark
                return
        yield text.removesuffix("\n")


@contextmanager
def open_input(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes. Decompress the content if the file name ends in `.gz`.

    Raises UserError for a file that cannot be opened and, during reading, for damaged gzip data.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the path and the permissions"
        ) from None
    with raw:
        unpacked = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        try:
            yield unpacked
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(
                f"{path}: broken gzip file: {error}; compress or download the file again"
            ) from None


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, as `decode_lines` does. Decompress the content of a `.gz` file.

    Raises UserError for a file that cannot be read, damaged gzip data, or invalid UTF-8.
    """
    try:
        with open_input(path) as stream:
            yield from decode_lines(stream, str(path))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the path and the permissions"
        ) from None
