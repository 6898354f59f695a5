r"""Lines of text, read strictly: `\n` alone ends one, and nothing but UTF-8 is taken."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from seq2seq.errors import UserError


def decode_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    r"""The lines of a stream without their "\n", which alone ends a line; the last may lack it.

    "\r", U+2028, U+0085 and NUL stay inside a line; a byte order mark at the beginning is dropped.
    Raises UserError for bytes that are not UTF-8, with `name`, line and byte, counted from 1.
    """
    for number, line in enumerate(stream, 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(
                f"{name}:{number}: not UTF-8 at byte {error.start + 1} of the line "
                f"(0x{line[error.start]:02x}); convert it, for example with iconv -t UTF-8"
            ) from None
        if number == 1:
            text = text.removeprefix("\ufeff")
            if not text:  # a mark and nothing after it, not even the end of a line
                return
        yield text.removesuffix("\n")


@contextmanager
def open_input(path: Path) -> Iterator[IO[bytes]]:
    """A file to be read; one that ends in `.gz` is unpacked.

    Raises UserError for a file that cannot be opened and, while it is read, for broken gzip.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    with raw:
        unpacked = cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        try:
            yield unpacked
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise UserError(f"{path}: broken gzip: {error}; make or fetch it again") from None


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a file, as `read_lines` gives them, of one that ends in `.gz` too.

    Raises UserError for a file that cannot be read, broken gzip and bytes that are not UTF-8.
    """
    try:
        with open_input(path) as stream:
            yield from decode_lines(stream, str(path))
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
