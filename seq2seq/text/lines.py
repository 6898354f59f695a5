r"""Read lines of UTF-8 text from plain and compressed files. All readers use this module.

A line ends before "\n" or "\r\n". Invalid UTF-8 is an error.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from seq2seq.errors import UserError
from seq2seq.file_types import PACKED_SUFFIXES, why_not_text


def line_text(line: bytes, number: int, name: str, *, errors: str = "strict") -> str:
    r"""Decode one line of UTF-8, without its line end ("\n" or "\r\n").

    A byte order mark at the start of line 1 is removed.

    Args:
        line: The bytes of the line.
        number: The number of the line in its stream, from 1.
        name: The name of the stream, for error messages.
        errors: How to treat invalid bytes, as in `bytes.decode`.

    Raises UserError if the first line shows that the stream is compressed or encoded in UTF-16.
    Raises UnicodeDecodeError for invalid bytes if `errors` is "strict".
    """
    if number == 1:
        line = line.removeprefix(b"\xef\xbb\xbf")
        if (problem := why_not_text(line)) is not None:
            raise UserError(f"{name}: the text {problem}")
    return line.removesuffix(b"\n").rstrip(b"\r").decode("utf-8", errors)


def decode_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    r"""Yield the lines of a stream, without their line ends ("\n" or "\r\n").

    A "\r" within a line, U+2028, U+0085 and NUL stay in the line. The last line may lack its line
    end. A byte order mark at the start of the stream is dropped.

    name: The name of the stream, for error messages.
    Raises UserError, with the line and byte number (from 1), for bytes that are not UTF-8. Raises
    UserError for a stream that is compressed or encoded in UTF-16.
    """
    for number, line in enumerate(stream, 1):
        try:
            text = line_text(line, number, name)
        except UnicodeDecodeError as error:
            start = error.start + (3 if number == 1 and line.startswith(b"\xef\xbb\xbf") else 0)
            raise UserError(
                f"{name}:{number}: not UTF-8 at byte {start + 1} of the line "
                f"(0x{line[start]:02x}); convert the file, for example with iconv -t UTF-8"
            ) from None
        if line == b"\xef\xbb\xbf":  # the stream contains nothing but a byte order mark
            return
        yield text


@contextmanager
def open_input(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading bytes. Decompress it if its name ends in .gz, .xz, .bz2 or .zst.

    Raises UserError for a file that cannot be opened and, during reading, for damaged compressed
    data.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the path and the permissions"
        ) from None
    with raw:
        try:
            yield _unpacked(raw, path)
        except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
            if path.suffix not in PACKED_SUFFIXES or getattr(error, "errno", None) is not None:
                raise
            kind = {".gz": "gzip", ".bz2": "bzip2"}.get(path.suffix, path.suffix[1:])
            raise UserError(
                f"{path}: broken {kind} file: {error}; compress or download the file again"
            ) from None


def _unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    """Return a stream of the decompressed bytes of `raw`, which was opened from `path`."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if path.suffix == ".xz":
        return lzma.LZMAFile(raw)
    if path.suffix == ".bz2":
        return bz2.BZ2File(raw)
    if path.suffix != ".zst":
        return raw
    import pyarrow as pa  # slow to import, and only these files need it

    if not pa.Codec.is_available("zstd"):
        raise UserError(f"{path}: pyarrow was built without zstd; decompress the file with zstd -d")
    return io.BufferedReader(pa.CompressedInputStream(raw, "zstd"))


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a file, as `decode_lines` does. Decompress the file as `open_input` does.

    Raises UserError for a file that cannot be read, damaged compressed data, or invalid UTF-8.
    """
    try:
        with open_input(path) as stream:
            yield from decode_lines(stream, str(path))
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the path and the permissions"
        ) from None
