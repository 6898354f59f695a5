"""Read examples from TSV and CSV files, with and without quotation marks around values."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from seq2seq.errors import UserError, counted, did_you_mean
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.values import require_line, say_once

Columns = tuple[str | int, str | int]  # source and target: column names, or numbers from 1
Quoting = Literal["auto", "none", "csv"]
Rows = Iterator[tuple[int, list[str]]]  # the line number of the start of each row, and its values

_QUOTED = re.compile('"((?:[^"]|"")*)"')
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")
_SAMPLE = 1000  # number of rows with quotation marks that decide whether a TSV file is quoted
_MOST_LINES = 50  # largest number of lines in one value, while the quoting is not yet known


def column_names(columns: Columns, location: str) -> tuple[str, str]:
    """Return the columns if all are names. Raises UserError for a column number."""
    source, target = columns
    if isinstance(source, str) and isinstance(target, str):
        return source, target
    raise UserError(
        f"{location}: data.source_column and data.target_column must both be names; use "
        "two numbers only for a TSV or CSV file without a header"
    )


def check_columns(names: Iterable[str], columns: list[str], location: str) -> None:
    """Raise UserError if one of the names is missing from the columns, or names several columns."""
    for name in names:
        if name not in columns:
            shown = ", ".join(repr(column[:40]) for column in columns) or "none"
            raise UserError(
                f"{location}: no column {name!r}; existing columns: {shown}; rename a column, or "
                "set data.source_column and data.target_column (to numbers such as 1 and 2 if a "
                f"TSV or CSV file has no header){did_you_mean(name, columns)}"
            )
        if columns.count(name) > 1:
            raise UserError(
                f"{location}: {columns.count(name)} columns are named {name!r}; rename all but one"
            )


def read_delimited(
    path: Path, columns: Columns, *, comma: bool, quoting: Quoting = "auto"
) -> Iterator[Example]:
    """Yield the examples of a TSV or CSV file.

    The file has a header unless both columns are given by number. A line end inside a quoted value
    becomes a space. Blank lines at the end of the file are skipped.

    Args:
        path: The file, which may be compressed.
        columns: The columns of source and target.
        comma: Whether the file is CSV. The separator of a CSV file is a comma, or a semicolon or
            tab if only that separator yields the columns. Other files use tabs.
        quoting: "csv" reads quotation marks as RFC 4180 defines them. "none" keeps them as a part
            of the text. "auto" means "csv" for CSV files and for TSV files in which all quotation
            marks follow RFC 4180.

    Raises UserError, with file and line, for a missing column, a row without enough columns, or a
    wrong quotation mark.
    """
    delimiter = _delimiter(path, columns) if comma else "\t"
    quoted = quoting == "csv" or (quoting == "auto" and (comma or _is_quoted_tsv(path)))
    if quoted and not comma:
        say_once(
            f"{path}: the values are quoted as in CSV, so they are read without their quotation "
            'marks; set data.quoting = "none" to keep the marks'
        )
    rows = _quoted_rows(path, delimiter) if quoted else _plain_rows(path, delimiter)
    source, target = columns
    if isinstance(source, int) and isinstance(target, int):
        if min(source, target) < 1:
            raise UserError(f"{path}: no column {min(source, target)}; column numbers start at 1")
        first, second = source - 1, target - 1
        _, header = next(rows, (0, []))
        rows = itertools.chain([(1, header)] if header else [], rows)
    else:
        names = column_names(columns, str(path))
        _, header = next(rows, (0, []))
        if not header:
            return
        check_columns(names, header, str(path))
        first, second = map(header.index, names)
    separator = {"\t": "a single tab", ",": "a comma"}.get(delimiter, "a semicolon")
    needed = max(first, second, min(len(header), 2) - 1) + 1  # a blank line is not a row of two
    for number, row in _complete(rows, path, needed, separator):
        if not quoted:  # the values are parts of a line already
            yield Example(row[first], row[second])
            continue
        location = f"{path}:{number}"
        yield Example(
            require_line(row[first], str(source), location),
            require_line(row[second], str(target), location),
        )


def _complete(rows: Rows, path: Path, needed: int, separator: str) -> Rows:
    """Yield the rows without the blank lines at the end. Raises UserError for too few columns."""
    blank = 0
    for number, row in rows:
        if needed > 1 and row == [""]:
            blank = blank or number
            continue
        short = 1 if blank else len(row)
        if short < needed:
            raise UserError(
                f"{path}:{blank or number}: the line has {counted(short, 'column')}, but needs at "
                f"least {needed}; separate columns by {separator}"
            )
        yield number, row


def _plain_rows(path: Path, delimiter: str) -> Rows:
    """Yield the rows of a file in which quotation marks have no meaning."""
    for number, line in enumerate(read_lines(path), 1):
        yield number, line.split(delimiter)


def _quoted_rows(path: Path, delimiter: str) -> Rows:
    """Yield the rows of a file in the format of RFC 4180. A value may have several lines."""
    reader = csv.reader(
        (f"{line}\n" for line in read_lines(path)), delimiter=delimiter, strict=True
    )
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise UserError(
                f"{path}:{number}: the row that starts here is not valid CSV: {error}; put "
                'quotation marks around the whole value, and write "" for a mark inside it'
            ) from None
        if row is None:
            return
        yield number, row or [""]


def _delimiter(path: Path, columns: Columns) -> str:
    """Return the character that separates the values of a CSV file."""
    line = next(read_lines(path), "")
    for delimiter in ",;\t":
        values = next(csv.reader([line], delimiter=delimiter), [])
        if all(
            column in values if isinstance(column, str) else column <= len(values)
            for column in columns
        ):
            return delimiter
    return ","


def _is_quoted_tsv(path: Path) -> bool:
    """Return whether the quotation marks of a TSV file follow RFC 4180.

    Two conditions must hold. First, every value with a mark is quoted as a whole. Second, at least
    one value needs the marks, or all values except numbers are quoted. Only the first 1,000 rows
    with a mark are checked.
    """
    lines = read_lines(path)
    needed = marked = 0
    all_quoted = True
    width: int | None = None
    for line in lines:
        if width is None:
            width = len(_values(line) or [])
        if '"' not in line:
            all_quoted = all_quoted and not line
            continue
        more = itertools.islice(lines, _MOST_LINES)
        while line.count('"') % 2 and (following := next(more, None)) is not None:
            line = f"{line}\n{following}"
        values = _values(line)
        if values is None or len(values) != width:
            return False
        for value in values:
            if (match := _QUOTED.fullmatch(value)) is None:
                all_quoted = all_quoted and (not value or _NUMBER.fullmatch(value) is not None)
            elif "\n" in match[1] and "\t" in match[1]:
                return False  # the marks probably belong to two unquoted values in different rows
            else:
                needed += '""' in match[1] or "\n" in match[1] or "\t" in match[1]
        marked += 1
        if marked >= _SAMPLE:
            break
    return needed > 0 or (marked > 1 and all_quoted)


def _values(row: str) -> list[str] | None:
    """Split a row at its tabs, except within quoted values. Quotation marks are kept.

    Return None if a value with a quotation mark is not quoted as a whole, or if a mark inside a
    quoted value is not doubled.
    """
    values, position = [], 0
    while True:
        match = _QUOTED.match(row, position)
        end = match.end() if match else row.find("\t", position)
        end = len(row) if end < 0 else end
        if match is None and '"' in row[position:end]:
            return None
        values.append(row[position:end])
        if end == len(row):
            return values
        if row[end] != "\t":
            return None
        position = end + 1
