"""Convert the values of tables and of Python objects (numbers, lists, labels) to lines of text."""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

from seq2seq.errors import UserError
from seq2seq.text.example import join_words

_log = logging.getLogger(__name__)


@functools.cache
def say_once(message: str, level: int = logging.INFO) -> None:
    """Log a message, but only once in each process."""
    _log.log(level, "%s", message)


def require_line(value: object, column: str, location: str, joiner: str = " ") -> str:
    """Return a value as one line of text.

    A number becomes its digits, and 1.0 becomes "1". True and False become "true" and "false". A
    list becomes its items with `joiner` between them. Line ends at the end of a text are
    dropped, and those inside become spaces.

    Args:
        value: The value of one row. A NumPy array counts as a list.
        column: The name of the column, for messages.
        location: The name of the file or data set and the number of the row, for messages.
        joiner: What stands between two items of a list. With a space, each item is a word.

    Raises UserError for a missing value, for half a surrogate pair, for a blank word in a list, and
    for a value of any other type.
    """
    if not isinstance(value, str):
        return _as_text(value, column, location, joiner)
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can contain half a character: "\ud83d"
        raise UserError(
            f"{location}: column {column!r} contains half a surrogate pair; fix or remove the row"
        ) from None
    if "\n" not in value:  # almost all values
        return value.rstrip("\r")
    return value.rstrip("\r\n").replace("\r\n", " ").replace("\n", " ")


def _as_text(value: object, column: str, location: str, joiner: str) -> str:
    """Convert a value that is not a string to text. Raises the errors of `require_line`."""
    if hasattr(value, "tolist"):  # an array or a number of NumPy, or a tensor of PyTorch
        value = value.tolist()
    if isinstance(value, str):  # an array can hold a single string
        return require_line(value, column, location)
    if isinstance(value, Real):
        if not isinstance(value, Integral) and not math.isfinite(value):
            raise UserError(f"{location}: column {column!r} is {value}; fix or remove the row")
        text, kind = _number(value), type(value).__name__
        name = _without_row(location)
        say_once(f"{name}: column {column!r} has type {kind}; its values are read as text")
        return text
    if isinstance(value, Iterable) and not isinstance(value, Mapping | bytes | bytearray):
        items = [item if isinstance(item, str) else _item(item, column, location) for item in value]
        where = f"{location}: column {column!r}"
        line = join_words(items, where) if joiner == " " else joiner.join(items)
        return require_line(line, column, location)
    kind = "null" if value is None else type(value).__name__
    raise UserError(f"{location}: column {column!r} is {kind}, not text; fix or remove the row")


def _without_row(location: str) -> str:
    """Remove the row number from a location. Return the name of the file or data set."""
    return re.sub(r"(, row |:)\d+$", "", location)


def _number(value: Any) -> str:
    """Return a number as its digits, and True or False as "true" or "false"."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, Integral) else f"{float(value):.15g}"


def _item(item: object, column: str, location: str) -> str:
    """Return one item of a list as text. Raises UserError for an item that is not a number."""
    item = item.item() if hasattr(item, "item") else item
    if isinstance(item, Real) and math.isfinite(item):
        return _number(item)
    kind = "null" if item is None else str(item) if isinstance(item, float) else type(item).__name__
    raise UserError(
        f"{location}: column {column!r} is a list that contains {kind}; a list must contain only "
        "words or numbers"
    )


LabelNames = Mapping[str, Sequence[str]]
"""The label names of each column that holds the numbers of labels (ClassLabel of `datasets`)."""


def label_names(features: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield each column of a data set that contains label numbers, with the names of its labels.

    features: The `Features` of the library `datasets`.
    prefix: A prefix of the column names. The field of a nested column is named "column.field".
    """
    for name, feature in features.items():
        if isinstance(feature, Mapping):
            yield from label_names(feature, f"{prefix}{name}.")
            continue
        inner = feature[0] if isinstance(feature, list) and feature else feature
        while hasattr(inner, "feature"):  # a list of labels, or a list of lists
            inner = inner.feature
        names = getattr(inner, "names", None)
        if names:
            yield f"{prefix}{name}", list(names)


def name_labels(value: object, names: Sequence[str], column: str, location: str) -> object:
    """Replace a label number, or each label number in a list, by the name of the label.

    A space inside a name becomes an underscore, because spaces separate labels.
    Raises UserError for a number without a name. For example, -1 marks a row without a label.
    """
    if isinstance(value, list):
        return [name_labels(item, names, column, location) for item in value]
    if not isinstance(value, int):
        return value
    if not 0 <= value < len(names):
        raise UserError(
            f"{location}: column {column!r} has the label number {value}, but the labels are "
            f"numbered from 0 to {len(names) - 1}; fix or remove the row"
        )
    if " " in names[value]:
        say_once(
            f"{_without_row(location)}: column {column!r}: spaces in the names of labels are "
            "replaced by underscores, because a label is a single word"
        )
    return names[value].replace(" ", "_")


def named_value(value: object, column: str, location: str, labels: LabelNames) -> object:
    """Return a value. If `labels` holds its column, replace label numbers as `name_labels` does."""
    return name_labels(value, labels[column], column, location) if column in labels else value
