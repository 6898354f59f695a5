"""Read examples from table files of all formats, and the input of commands from tables."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from seq2seq.errors import UserError
from seq2seq.file_types import PACKED_SUFFIXES
from seq2seq.text.arrow_tables import read_parquet
from seq2seq.text.columns import Columns
from seq2seq.text.conllu import CONLLU_COLUMNS, read_conllu
from seq2seq.text.delimited import Quoting, line_of_row, read_delimited, read_delimited_input
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.tmx import read_tmx
from seq2seq.text.values import LabelNames, named_value

_FORMATS = ("tsv", "csv", "jsonl", "parquet", "conllu", "tmx")


def table_format(path: Path) -> str | None:
    """Return the format of a table, such as "csv", by the ending of its file name.

    Return None for any other ending. An ending such as .gz may follow, except for Parquet.
    """
    packed = path.suffix in PACKED_SUFFIXES
    ending = (Path(path.stem) if packed else path).suffix[1:].lower()
    return ending if ending in _FORMATS and not (packed and ending == "parquet") else None


def read_table(path: Path, columns: Columns, quoting: Quoting = "auto") -> Iterator[Example]:
    """Yield the examples of a table file. A file without a known ending is read as TSV.

    quoting: How to treat quotation marks in TSV and CSV, as in `read_delimited`.
    Raises UserError, at once or during iteration, for an unreadable file, a missing column, a row
    without enough columns, or a value that is not text. The message names the file and the line.
    """
    kind = table_format(path)
    if kind in ("tsv", "csv", None):
        return read_delimited(path, columns, comma=kind == "csv", quoting=quoting)
    columns.names(str(path))  # raises an error at once
    if kind == "tmx":
        return read_tmx(path, columns)
    if kind == "conllu":
        return _conllu(path, columns)
    if kind == "jsonl":
        return _jsonl(path, columns)
    return itertools.starmap(columns.example, read_parquet(path, columns))


def locate_table_row(path: Path, columns: Columns, number: int, quoting: Quoting = "auto") -> str:
    """Return where a row of a table is, such as "a.tsv:3", for messages.

    The place in Parquet, CoNLL-U and TMX is the number of the row, because no line is a row.

    number: The number of the row that `read_table` yields with the same arguments, from 1.
    """
    kind = table_format(path)
    if kind == "jsonl":
        return f"{path}:{number}"
    if kind in ("tsv", "csv", None):
        line = line_of_row(path, columns, number, comma=kind == "csv", quoting=quoting)
        return f"{path}:{line}"
    return f"{path}, row {number}"


def read_input_table(
    path: Path, columns: Columns, quoting: Quoting = "auto"
) -> Iterator[tuple[str, str | None]]:
    """Yield the source and the features of each line of a table that is the input of a command.

    A blank line has a blank source. The features are None for a blank line, and for a row without
    features.

    columns: The columns of the source and of its features. For a model without features, the
        column of the source twice.
    Raises the errors of `read_table`, except for missing features.
    """
    kind = table_format(path)
    if kind in ("tsv", "csv", None):
        yield from read_delimited_input(path, columns, comma=kind == "csv", quoting=quoting)
        return
    names = columns.names(str(path))
    if kind == "parquet":
        yield from itertools.starmap(columns.input_line, read_parquet(path, columns))
    elif kind == "jsonl":
        for location, line in _located_lines(path):
            if not line.strip():
                yield "", None
                continue
            values = _json_values(line, location)
            columns.check(names[:1], list(values), location)
            yield columns.input_line(values[names[0]], values.get(names[1]), location)
    else:
        yield from ((row.source, row.target) for row in read_table(path, columns))


def _conllu(path: Path, columns: Columns) -> Iterator[Example]:
    """Yield one example per sentence: its words and their labels, separated by spaces."""
    names = columns.names(str(path))
    columns.check(names, list(CONLLU_COLUMNS), str(path))
    for sentence in read_conllu(read_lines(path), str(path)):
        source, target = (" ".join(sentence.column(name)) for name in names)
        yield Example(source, target)


def _jsonl(path: Path, columns: Columns) -> Iterator[Example]:
    for location, line in _located_lines(path):
        yield _record_example(_json_values(line, location), columns, location, {})


def _located_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the location of each line of a file, such as "a.jsonl:1", and the line."""
    for number, line in enumerate(read_lines(path), 1):
        yield f"{path}:{number}", line


def _json_values(line: str, location: str) -> dict[str, object]:
    """Return the values of a JSON object, also of nested objects, by column name."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{location}: invalid JSON: {error}; use one object per line") from None
    if not isinstance(record, dict):
        raise UserError(f"{location}: write a JSON object, not {type(record).__name__}")
    return dict(_dotted(record))


def _dotted(record: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the items of nested dictionaries, with the keys of all levels joined by dots."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", content) for inner, content in _dotted(value))
        else:
            yield key, value


def read_record(
    record: Mapping[str, object], columns: Columns, location: str, labels: LabelNames | None = None
) -> Example:
    """Read an example from a dictionary. Column "a.b" is the key "b" of the dictionary "a".

    labels: The label names of each column that contains label numbers.
    Raises UserError for a missing column or a value that cannot be read as text.
    """
    return _record_example(dict(_dotted(record)), columns, location, labels or {})


def _record_example(
    values: Mapping[str, object], columns: Columns, location: str, labels: LabelNames
) -> Example:
    names = columns.names(location)
    columns.check(names, list(values), location)
    source, target = (named_value(values[name], name, location, labels) for name in names)
    return columns.example(source, target, location)
