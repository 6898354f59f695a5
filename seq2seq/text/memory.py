"""Training data that a Python program has in memory, read like the files of a configuration."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from seq2seq.config.schema import Config, DataConfig
from seq2seq.errors import UserError
from seq2seq.text.example import Example, example_digest, join_numbers, join_words
from seq2seq.text.tables import Columns, read_dataset, read_record, require_line

if TYPE_CHECKING:
    import datasets

Split = Literal["train", "valid", "test"]

Row: TypeAlias = str | Sequence[str | Iterable[str] | Iterable[float]] | Mapping[str, object]
"""A text (for a language model), a pair of source and target, or a dictionary with the columns that
the configuration names. A side is a string; words and their labels may be lists of strings, and the
vector of a generator a list of numbers."""

TrainingData: TypeAlias = "Iterable[Row] | datasets.Dataset"


class MemoryData:
    """The splits of a corpus that are in memory."""

    def __init__(self, config: Config, splits: Mapping[Split, Any]) -> None:
        """splits: rows by split, None for a split that is not in memory. A `datasets.Dataset` is
        read where it lies; all else is copied.

        Raises TypeError for a split that is not a list of rows, and UserError, with the number of
        the row, for a row that does not fit the task.
        """
        self._columns = data_columns(config.data)
        self._splits: dict[str, Any] = {
            split: rows if _is_dataset(rows) else list(_examples(rows, config, split))
            for split, rows in splits.items()
            if rows is not None
        }

    def __contains__(self, split: str) -> bool:
        """Whether the split is in memory."""
        return split in self._splits

    def read(self, split: str) -> Iterator[Example]:
        """The examples of a split. Raises UserError, while iterating, for a dataset that lacks a
        column or holds a value that is not text."""
        rows = self._splits[split]
        return read_dataset(rows, self._columns, split) if _is_dataset(rows) else iter(rows)

    def digest(self, split: str) -> bytes:
        """Hash the examples of a split, in their order."""
        hashed = hashlib.blake2b()
        for example in self.read(split):
            hashed.update(example_digest(example))
        return hashed.digest()


def data_columns(data: DataConfig) -> Columns:
    """The columns of source and target; the target's twice for a model without a source."""
    target = data.target if data.target_column is None else data.target_column
    source = data.source if data.source_column is None else data.source_column
    return target if source == "" else source, target


def _is_dataset(rows: object) -> bool:
    """Whether this is a `datasets.Dataset`; the library is not imported to find out."""
    library: Any = sys.modules.get("datasets")
    return library is not None and isinstance(rows, library.Dataset)


def _examples(rows: Any, config: Config, split: str) -> Iterator[Example]:
    task, columns = config.task, data_columns(config.data)
    wanted = "pairs (source, target)" if task.has_source else "texts"
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        hint = f"; to read files, name them in data.{split}" if isinstance(rows, str) else ""
        hint = "; give one of its splits" if isinstance(rows, Mapping) else hint
        raise TypeError(f"{split} is {type(rows).__name__}: give a list of {wanted}{hint}")
    for number, row in enumerate(rows, start=1):
        where = f"{split}, row {number}"
        if isinstance(row, Mapping):
            yield read_record(row, columns, where)
        elif not task.has_source:
            yield Example("", require_line(row, str(columns[1]), where))
        elif isinstance(row, str) or not isinstance(row, Sequence) or len(row) != 2:
            raise UserError(f"{where}: {_shown(row)} is not a pair (source, target)")
        else:
            source, target = (
                _side(value, column, where) for value, column in zip(row, columns, strict=True)
            )
            yield Example(source, target)


def _side(value: object, column: str | int, where: str) -> str:
    """One side of a pair as a line of text."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return require_line(value, str(column), where)
    values = list(value)
    if values and isinstance(values[0], str):
        return join_words(values, where)
    return join_numbers(values, where)


def _shown(row: object) -> str:
    text = repr(row)
    return text if len(text) <= 60 else f"{text[:60]}..."
