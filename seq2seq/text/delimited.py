"""Read examples from TSV and CSV files, with and without quotation marks around values."""

from __future__ import annotations

import csv
import itertools
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seq2seq.errors import UserError, counted
from seq2seq.text.columns import Columns
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.quoting import is_quoted_tsv
from seq2seq.text.values import require_line, say_once

# Names of columns. No pair of two of them is likely to be the first row of real data.
_HEADER = re.compile(
    "source|target|src|trg|tgt|input|output|lemma|(word)?forms?|feats|features?|msd|words?|"
    "graphemes?|letters|orthography|phon(em)?es?|pronunciation|transcription|ipa|text|sentence|"
    "translation|labels?|tags?",
    re.IGNORECASE,
)
_LINES = 1000  # lines of a CSV file that are searched for a row with all columns
Quoting = Literal["auto", "none", "csv"]
Rows = Iterator[tuple[int, list[str]]]  # the line number of the start of each row, and its values


@dataclass(frozen=True)
class _Table:
    """A TSV or CSV file without its header.

    rows: the line number of the start of each row, and its values.
    source: the index of the source column, from 0.
    target: the index of the target column, from 0.
    width: the number of columns of the first row or the header.
    separator: the name of the character between two columns, for messages.
    quoted: whether quotation marks enclose values. Otherwise, the values are parts of a line.
    """

    rows: Rows
    source: int
    target: int
    width: int
    separator: str
    quoted: bool

    def value(self, value: str, column: str | int, location: str) -> str:
        """Return a value as one line of text."""
        return require_line(value, str(column), location) if self.quoted else value

    def too_short(self, path: Path, number: int, columns: int, needed: int) -> UserError:
        """Return the error for a line with too few columns."""
        return UserError(
            f"{path}:{number}: the line has {counted(columns, 'column')}, but needs at least "
            f"{needed}; separate columns by {self.separator}"
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
    table = _open(path, columns, comma=comma, quoting=quoting)
    for number, row in _complete(table, path):
        location = f"{path}:{number}"
        source = table.value(row[table.source], columns.source, location)
        yield Example(source, table.value(row[table.target], columns.target, location))


def read_delimited_input(
    path: Path, columns: Columns, *, comma: bool, quoting: Quoting = "auto"
) -> Iterator[tuple[str, str | None]]:
    """Yield the source and the features of each line, as `read_input_table` does.

    The arguments are those of `read_delimited`.
    Raises UserError, with file and line, for a missing source column or a wrong quotation mark.
    """
    table = _open(path, columns, comma=comma, quoting=quoting)
    for number, row in table.rows:
        if not any(map(str.strip, row)):
            yield "", None
            continue
        if len(row) <= table.source:
            raise table.too_short(path, number, len(row), table.source + 1)
        location = f"{path}:{number}"
        features = None
        if len(row) > table.target:
            features = table.value(row[table.target], columns.target, location)
        yield table.value(row[table.source], columns.source, location), features


def line_of_row(
    path: Path, columns: Columns, number: int, *, comma: bool, quoting: Quoting = "auto"
) -> int:
    """Return the line at which a row starts. Rows without the header and lines count from 1.

    The other arguments are those of `read_delimited`.
    """
    table = _open(path, columns, comma=comma, quoting=quoting)
    line, _ = next(itertools.islice(table.rows, number - 1, None))
    return line


def _open(path: Path, columns: Columns, *, comma: bool, quoting: Quoting) -> _Table:
    """Open a TSV or CSV file and read its header.

    Raises UserError for a missing column.
    """
    delimiter = _delimiter(path, columns) if comma else "\t"
    quoted = quoting == "csv" or (quoting == "auto" and (comma or is_quoted_tsv(path)))
    if quoted and not comma:
        advice = '; set data.quoting = "none" to keep the marks' if columns.key else ""
        say_once(
            f"{path}: the values are quoted as in CSV, so they are read without their quotation "
            f"marks{advice}"
        )
    rows = _quoted_rows(path, delimiter) if quoted else _plain_rows(path, delimiter)
    source, target, *_ = columns
    if isinstance(source, int) and isinstance(target, int):
        if min(source, target) < 1:
            raise UserError(f"{path}: no column {min(source, target)}; column numbers start at 1")
        first, second = source - 1, target - 1
        _, header = next(rows, (0, []))
        used = [header[at] for at in dict.fromkeys((first, second)) if at < len(header)]
        if used and all(_HEADER.fullmatch(value.strip()) for value in used):
            advice = ", or give the columns by name" if columns.key else ""
            say_once(
                f"{path}:1: this row looks like a header ({', '.join(used)}), but it is read as "
                f"data, because the columns are given by number; delete the row{advice}",
                logging.WARNING,
            )
        rows = itertools.chain([(1, header)] if header else [], rows)
    else:
        names = columns.names(str(path))
        _, header = next(rows, (0, []))
        if header:  # an empty file has neither a header nor rows
            columns.check(names, header, str(path))
        first, second = map(header.index, names) if header else (0, 0)
    separator = {"\t": "a single tab", ",": "a comma"}.get(delimiter, "a semicolon")
    return _Table(rows, first, second, len(header), separator, quoted)


def _complete(table: _Table, path: Path) -> Rows:
    """Yield the rows without the blank lines at the end. Raises UserError for too few columns."""
    # A blank line is not a row of two columns.
    needed = max(table.source, table.target, min(table.width, 2) - 1) + 1
    blank = 0
    for number, row in table.rows:
        if needed > 1 and row == [""]:
            blank = blank or number
            continue
        short = 1 if blank else len(row)
        if short < needed:
            raise table.too_short(path, blank or number, short, needed)
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
    """Return the character that separates the values of a CSV file.

    The header decides. Without a header, the first line that has all columns decides.
    """
    wanted = (columns.source, columns.target)
    named = any(isinstance(column, str) for column in wanted)
    for line in itertools.islice(read_lines(path), 1 if named else _LINES):
        for delimiter in ",;\t":
            values = next(csv.reader([line], delimiter=delimiter), [])
            if all(
                column in values if isinstance(column, str) else column <= len(values)
                for column in wanted
            ):
                return delimiter
    return ","
