"""Read examples from table files of all formats, and from Hugging Face datasets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.errors import UserError
from seq2seq.file_types import PACKED_SUFFIXES
from seq2seq.text.conllu import CONLLU_COLUMNS, read_conllu
from seq2seq.text.delimited import Columns, Quoting, check_columns, column_names, read_delimited
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.tmx import read_tmx
from seq2seq.text.values import LabelNames, label_names, name_labels, require_line

if TYPE_CHECKING:  # both are slow to import, and many commands use neither
    import datasets
    import pyarrow as pa

_log = logging.getLogger(__name__)

_FORMATS = ("tsv", "csv", "jsonl", "parquet", "conllu", "tmx")
_SAVED_TO_DISK = ("dataset_dict.json", "state.json")  # files that save_to_disk of datasets writes
_ROWS = 1024  # number of Arrow rows that are converted to strings at a time


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
    reader = {"conllu": _conllu, "parquet": _parquet, "jsonl": _jsonl, "tmx": read_tmx}[str(kind)]
    return reader(path, column_names(columns, str(path)))


def read_hub(
    hub: str, config: str | None, split: str, columns: Columns, location: str
) -> Iterator[Example]:
    """Yield the examples of one split of a dataset on the Hugging Face hub or in a local folder.

    location: The name of the dataset, for error messages.
    Raises UserError if the split cannot be loaded, and in the same cases as `read_table`.
    """
    return _hub(hub, config, split, column_names(columns, location), location)


def _conllu(path: Path, names: tuple[str, str]) -> Iterator[Example]:
    """Yield one example per sentence: its words and their labels, separated by spaces."""
    check_columns(names, list(CONLLU_COLUMNS), str(path))
    for sentence in read_conllu(read_lines(path), str(path)):
        source, target = (" ".join(sentence.column(name)) for name in names)
        yield Example(source, target)


def _jsonl(path: Path, names: tuple[str, str]) -> Iterator[Example]:
    for number, line in enumerate(read_lines(path), 1):
        location = f"{path}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{location}: invalid JSON: {error}; use one object per line") from None
        if not isinstance(record, dict):
            raise UserError(f"{location}: write a JSON object, not {type(record).__name__}")
        yield read_record(record, names, location)


def _dotted(record: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the items of nested dictionaries, with the keys of all levels joined by dots."""
    for key, value in record.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{inner}", content) for inner, content in _dotted(value))
        else:
            yield key, value


def _parquet(path: Path, names: tuple[str, str]) -> Iterator[Example]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            schema = file.schema_arrow
            check_columns(names, _flat(schema.empty_table()).column_names, str(path))
            labels: LabelNames = {}
            if b"huggingface" in (schema.metadata or {}):  # written by `datasets`
                import datasets

                labels = dict(label_names(datasets.Features.from_arrow_schema(schema)))
            batches = file.iter_batches(_ROWS, columns=list(names))
            tables = (pa.Table.from_batches([batch]) for batch in batches)
            yield from _read_arrow(tables, names, str(path), labels)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None


def _hub(
    hub: str, config: str | None, split: str, names: tuple[str, str], location: str
) -> Iterator[Example]:
    yield from _dataset(_load_hub(hub, config, split, location), names, location)


def read_dataset(dataset: datasets.Dataset, columns: Columns, location: str) -> Iterator[Example]:
    """Yield the examples of a loaded dataset.

    location: The name of the dataset in error messages.
    """
    return _dataset(dataset, column_names(columns, location), location)


def read_record(
    record: Mapping[str, object], columns: Columns, location: str, labels: LabelNames | None = None
) -> Example:
    """Read an example from a dictionary. Column "a.b" is the key "b" of the dictionary "a".

    labels: The label names of each column that contains label numbers.
    Raises UserError for a missing column or a value that cannot be read as text.
    """
    values = dict(_dotted(record))
    names = column_names(columns, location)
    check_columns(names, list(values), location)
    source, target = (_cell(values[name], name, location, labels or {}) for name in names)
    return Example(source, target)


def _cell(value: object, column: str, location: str, labels: LabelNames) -> str:
    """Return a value as text. If the column contains label numbers, return the label's name."""
    if column in labels:
        value = name_labels(value, labels[column], column, location)
    return require_line(value, column, location)


def _dataset(dataset: datasets.Dataset, names: tuple[str, str], location: str) -> Iterator[Example]:
    schema = dataset.features.arrow_schema
    check_columns(names, _flat(schema.empty_table()).column_names, location)
    # The Arrow format reads from the memory-mapped file and does not decode other columns.
    labels = dict(label_names(dataset.features))
    yield from _read_arrow(dataset.with_format("arrow").iter(_ROWS), names, location, labels)


def _load_hub(hub: str, config: str | None, split: str, location: str) -> datasets.Dataset:
    import datasets

    try:
        if not any((Path(hub) / mark).is_file() for mark in _SAVED_TO_DISK):
            if not Path(hub).exists():
                _log.info("%s: loading from the Hugging Face hub or its local cache", location)
            return datasets.load_dataset(hub, config, split=split)
        saved = datasets.load_from_disk(hub)
    except ConnectionError:
        raise UserError(
            f"{location}: the Hugging Face hub cannot be reached; check the network, or put the "
            "files into the folder $SEQ2SEQ_DATA and set their names in [data]"
        ) from None
    except Exception as error:  # an error of any type, mostly caused by a wrong name
        causes = [_first_line(cause) for cause in (error, error.__cause__) if cause is not None]
        raise UserError(
            f"{location}: cannot be loaded; check data.hub and data.hub_config: {': '.join(causes)}"
        ) from error
    if isinstance(saved, datasets.Dataset):
        saved = {str(saved.split or "train"): saved}
    if split not in saved:
        names = ", ".join(map(repr, saved))
        raise UserError(f"{location}: no such split; choose one of {names} in data.hub_splits")
    return saved[split]


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _flat(table: pa.Table) -> pa.Table:
    """Return the table with one column for each field of a struct, such as "translation.en"."""
    import pyarrow as pa

    while any(pa.types.is_struct(kind) for kind in table.schema.types):
        table = table.flatten()
    return table


def _read_arrow(
    tables: Iterable[pa.Table], names: Sequence[str], location: str, labels: LabelNames
) -> Iterator[Example]:
    """Yield the examples of Arrow tables.

    labels: The label names of each column that contains label numbers.
    """
    rows_before = 0
    for table in map(_flat, tables):
        try:
            columns = [table.column(name).to_pylist() for name in names]
        except UnicodeDecodeError:
            rows = f"rows {rows_before + 1} to {rows_before + table.num_rows}"
            raise UserError(f"{location}: invalid UTF-8 in {rows}; convert the text") from None
        for row, values in enumerate(zip(*columns, strict=True), rows_before + 1):
            row_location = f"{location}, row {row}"
            source, target = (
                _cell(value, name, row_location, labels)
                for value, name in zip(values, names, strict=True)
            )
            yield Example(source, target)
        rows_before += table.num_rows
