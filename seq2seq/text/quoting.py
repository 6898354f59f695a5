"""Find out whether quotation marks enclose the values of a TSV file."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from seq2seq.text.lines import read_lines

_QUOTED = re.compile('"((?:[^"]|"")*)"')
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")
_SAMPLE = 1000  # number of rows with quotation marks that decide whether a TSV file is quoted
_MOST_LINES = 50  # largest number of lines in one value, while the quoting is not yet known


def is_quoted_tsv(path: Path) -> bool:
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
