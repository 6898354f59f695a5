"""Read training data that a Python program passes as objects in memory instead of files."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from seq2seq.config.data_section import DataConfig
from seq2seq.config.features_section import FeaturesConfig
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text.arrow_tables import read_dataset
from seq2seq.text.columns import Columns
from seq2seq.text.example import Example, example_digest
from seq2seq.text.references import feature_side, reference_sides, with_features, with_references
from seq2seq.text.tables import read_record
from seq2seq.text.values import label_names, require_line

if TYPE_CHECKING:
    import datasets

Split = Literal["train", "valid", "test"]

Row: TypeAlias = (
    str | Sequence[str | float | Iterable[str] | Iterable[float]] | Mapping[str, object]
)
"""An example: a text for a language model, a pair (source, target), or a dictionary with the
configured columns. With `data.features`, a pair becomes a triple (source, target, features). Each
value is a string or a number. Words and their labels can also be lists of strings or of numbers,
and the vector for a generator can be a list of numbers."""

TrainingData: TypeAlias = "Iterable[Row] | datasets.Dataset"


class MemoryData:
    """The splits of a corpus that a Python program passes in memory."""

    def __init__(self, config: Config, splits: Mapping[Split, Any]) -> None:
        """Check and store the splits.

        splits: The rows of each split, or None for a split that is not in memory. Rows are copied,
            except for a `datasets.Dataset`, which is read on demand.
        Raises TypeError for a split that is not a list of rows, and UserError, with the row number,
        for a row that does not fit the task.
        """
        self._data, self._features = config.data, config.features
        self._splits: dict[str, Any] = {
            split: rows if _is_dataset(rows) else list(_examples(rows, config, split))
            for split, rows in splits.items()
            if rows is not None
        }

    def __contains__(self, split: str) -> bool:
        """Return whether the split is in memory."""
        return split in self._splits

    def read(self, split: str) -> Iterator[Example]:
        """Return an iterator over the examples of a split in memory.

        During iteration, raises UserError if a dataset lacks a column or contains a value that is
        not text.
        """
        rows = self._splits[split]
        if not _is_dataset(rows):
            return iter(rows)
        return self._read_dataset(rows, split)

    def _read_dataset(self, rows: Any, split: str) -> Iterator[Example]:
        data = self._data
        sides = [] if split == "train" else reference_sides(data)
        others = [
            read_dataset(rows, data_columns(side, "data.references"), split) for side in sides
        ]
        examples = with_references(read_dataset(rows, data_columns(data), split), others)
        return with_features(
            data,
            examples,
            lambda side: read_dataset(rows, feature_columns(side, self._features), split),
        )

    def digest(self, split: str) -> bytes:
        """Return a hash of the examples of a split. The hash also depends on their order."""
        hashed = hashlib.blake2b()
        for example in self.read(split):
            hashed.update(example_digest(example))
        return hashed.digest()


def data_columns(data: DataConfig, key: str = "data.target_column") -> Columns:
    """Return the names or numbers of the source column and the target column.

    For a model without a source, return the target column twice.
    key: The key of the configuration that names the target column, for messages.
    """
    target = data.target if data.target_column is None else data.target_column
    source = data.source if data.source_column is None else data.source_column
    return Columns(target if source == "" else source, target, key)


def feature_columns(side: DataConfig, settings: FeaturesConfig) -> Columns:
    """Return the columns of the source and of its features.

    side: The section of `feature_side`, whose target is the features.
    settings: How features are written.
    """
    return data_columns(side, "data.features")._replace(joiner=settings.joiner)


def _is_dataset(rows: object) -> bool:
    """Return whether `rows` is a `datasets.Dataset`, without importing that slow library."""
    library: Any = sys.modules.get("datasets")
    return library is not None and isinstance(rows, library.Dataset)


def _examples(rows: Any, config: Config, split: str) -> Iterator[Example]:
    """Convert the rows of a split to examples. Raises the errors of `MemoryData.__init__`."""
    task, columns = config.task, data_columns(config.data)
    features = feature_side(config.data)
    values = ("source", "target") if features is None else ("source", "target", "features")
    kind_of_row = ("triple" if features else "pair") + f" ({', '.join(values)})"
    wanted = kind_of_row.replace(" ", "s ", 1) if task.has_source else "texts"
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        hint = f"; to read files, set data.{split}" if isinstance(rows, str) else ""
        hint = "; pass one of its splits" if isinstance(rows, Mapping) else hint
        kind = type(rows).__name__
        raise TypeError(f"{split} must be a list of {wanted}, but has type {kind}{hint}")
    if hasattr(rows, "iterrows"):  # a table of pandas
        table: Any = rows
        rows = table.to_dict("records")
    labels = dict(label_names(getattr(rows, "features", None) or {}))  # of an IterableDataset
    for number, row in enumerate(rows, start=1):
        where = f"{split}, row {number}"
        if isinstance(row, Mapping):
            names = config.data.references if split != "train" else []
            sides = [columns._replace(target=name, key="data.references") for name in names]
            others = [read_record(row, side, where, labels).target for side in sides]
            example = read_record(row, columns, where, labels)._replace(references=tuple(others))
            if features:
                other = read_record(row, feature_columns(features, config.features), where, labels)
                example = example._replace(features=(other.target,))
            yield example
        elif not task.has_source:
            yield Example("", require_line(row, str(columns.target), where))
        elif isinstance(row, str) or not isinstance(row, Sequence) or len(row) != len(values):
            raise UserError(
                f"{where}: {_shown(row)} is not a {kind_of_row}; pass {len(values)} values in a "
                "tuple"
            )
        else:
            example = columns.example(row[0], row[1], where)
            if features:
                line = require_line(row[2], features.target, where, config.features.joiner)
                example = example._replace(features=(line,))
            yield example


def _shown(row: object) -> str:
    """Return at most 60 characters of a row, for an error message."""
    text = repr(row)
    return text if len(text) <= 60 else f"{text[:60]}..."
