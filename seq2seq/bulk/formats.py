"""Read the texts of a shard and write their translations, as text or as Parquet."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, cast

from seq2seq.errors import UserError, did_you_mean
from seq2seq.text.lines import line_text, open_input
from seq2seq.text.values import require_line

Translate = Callable[[Iterable[str]], Iterator[str]]
"""Yields one translation for each text, in order. Reads the texts some time ahead."""


def translate_text(source: Path, target: Path, translate: Translate, notes: list[str]) -> int:
    """Translate a text file line by line, and return the number of lines.

    source: The input file. The ending of its name, such as ".gz", sets the compression of both
        files.
    target: The path to write to. It may have any name.
    notes: Receives a note for each line that is not valid UTF-8.

    Raises UserError for a file that cannot be read or whose content is not text.
    """
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        with open_input(source) as stream:
            for count, line in enumerate(stream, start=1):
                try:
                    yield line_text(line, count, str(source))
                except UnicodeDecodeError:
                    notes.append(f"line {count}: invalid UTF-8; invalid bytes are read as U+FFFD")
                    yield line_text(line, count, str(source), errors="replace")

    written = 0
    with _open_output(target, source.suffix) as stream:
        for text in translate(lines()):
            stream.write(text.encode("utf-8", "replace") + b"\n")
            written += 1
    return _equal(source, count, written)


@contextmanager
def _open_output(path: Path, suffix: str) -> Iterator[IO[bytes]]:
    """Open a file for writing.

    suffix: sets the compression, for example ".gz". The name of the file does not matter.
    """
    with path.open("wb") as raw, ExitStack() as opened:
        if suffix == ".gz":  # without a name and a time, so that equal texts give equal files
            packed: Any = gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0)
        elif suffix == ".xz":
            packed = opened.enter_context(lzma.LZMAFile(raw, "wb"))
        elif suffix == ".bz2":
            packed = opened.enter_context(bz2.BZ2File(raw, "wb"))
        elif suffix == ".zst":
            import pyarrow as pa

            packed = opened.enter_context(pa.CompressedOutputStream(raw, "zstd"))
        else:
            packed = raw
        opened.callback(packed.close)
        yield cast(IO[bytes], packed)


def translate_parquet(
    source: Path, target: Path, translate: Translate, column: str, new_column: str
) -> int:
    """Copy a Parquet file with one more column, the translations, and return the number of rows.

    The row groups stay as they are. The translation of a null is a null. Memory holds one row group
    at a time.

    column: The column with the texts. "a.b" is the field "b" of the struct column "a".
    new_column: The name of the column to add.

    Raises UserError for a file that cannot be read and in the cases of `check_parquet_columns`.
    """
    import pyarrow as pa
    from pyarrow import parquet

    check_parquet_columns(source, column, new_column)
    try:
        with parquet.ParquetFile(source) as file:
            schema = file.schema_arrow.append(pa.field(new_column, pa.string()))
            groups = range(file.num_row_groups)
            location = str(source)

            def texts() -> Iterator[str]:
                for group in groups:
                    table = file.read_row_group(group, columns=[column])
                    for value in _values(table, column):
                        yield "" if value is None else require_line(value, column, location)

            translations = translate(texts())
            written = 0
            with parquet.ParquetWriter(target, schema) as writer:
                for group in groups:
                    table = file.read_row_group(group)
                    new = [
                        text if value is not None else None
                        for value, text in zip(_values(table, column), translations, strict=False)
                    ]
                    _equal(source, table.num_rows, len(new))
                    table = table.append_column(new_column, pa.array(new, pa.string()))
                    writer.write_table(table.cast(schema), row_group_size=max(1, len(new)))
                    written += len(new)
            return _equal(source, file.metadata.num_rows, written)
    except pa.ArrowException as error:
        raise UserError(f"{source}: cannot be read as Parquet: {error}") from None


def check_parquet_columns(path: Path, column: str, new_column: str) -> None:
    """Raise UserError if a Parquet file lacks a text column, or already has the new column."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        schema = parquet.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {error}") from None
    if new_column in schema.names:
        raise UserError(
            f"{path}: the column {new_column!r} already exists; choose another name for the new "
            "column with --new-column"
        )
    if schema.names.count(column) > 1:
        raise UserError(f"{path}: several columns are named {column!r}; rename all but one")
    try:
        kind = _column(schema.empty_table(), column).type
    except KeyError:
        raise UserError(
            f"{path}: no column {column!r}; existing columns: "
            f"{', '.join(map(repr, schema.names))}; choose one with --column"
            f"{did_you_mean(column, schema.names)}"
        ) from None
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_view(kind)):
        raise UserError(
            f"{path}: the column {column!r} has type {kind}, not string; choose a column of texts "
            "with --column"
        )


def _is_view(kind: Any) -> bool:
    return str(kind) == "string_view"


def _column(table: Any, name: str) -> Any:
    """Return a column of a table, or the field of a struct column. Raises KeyError if missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if name in table.column_names:
        return table.column(name)
    first, *rest = name.split(".")
    if first not in table.column_names:
        raise KeyError(name)
    column = table.column(first)
    for field in rest:
        if not pa.types.is_struct(column.type) or column.type.get_field_index(field) < 0:
            raise KeyError(name)
        column = pc.struct_field(column, field)
    return column


def _values(table: Any, name: str) -> list[str | None]:
    values: list[str | None] = _column(table, name).to_pylist()
    return values


def _equal(source: Path, count: int, written: int) -> int:
    """Return `count`, the number of texts read. Raises RuntimeError if `written` differs."""
    if count != written:
        raise RuntimeError(f"{source}: {count:,} texts were read, but {written:,} were written")
    return count
