"""Read examples from TSV, JSON Lines, Parquet and CoNLL-U files, and from Hugging Face datasets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.errors import UserError, did_you_mean
from seq2seq.text.conllu import CONLLU_COLUMNS, read_conllu
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines

if TYPE_CHECKING:  # both are slow to import, and many commands use neither
    import datasets
    import pyarrow as pa

_log = logging.getLogger(__name__)

Columns = tuple[str | int, str | int]  # source and target: column names, or numbers from 1

TABLE_SUFFIXES = (".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".parquet", ".conllu", ".conllu.gz")
_SAVED_TO_DISK = ("dataset_dict.json", "state.json")  # files that save_to_disk of datasets writes
_ROWS = 1024  # number of Arrow rows that are converted to strings at a time


def read_table(path: Path, columns: Columns) -> Iterator[Example]:
    """Yield the examples of a table file. The suffix of the file name determines the format.

    Raises UserError, at once or during iteration, for an unreadable file, a missing column, a row
    without enough columns, or a value that is not text. The message names the file and the line.
    """
    if path.name.endswith((".tsv", ".tsv.gz")):
        return _tsv(path, columns)
    if path.name.endswith((".conllu", ".conllu.gz")):
        return _conllu(path, _names(columns, str(path)))
    reader = _parquet if path.suffix == ".parquet" else _jsonl
    return reader(path, _names(columns, str(path)))


def read_hub(
    hub: str, config: str | None, split: str, columns: Columns, location: str
) -> Iterator[Example]:
    """Yield the examples of one split of a dataset on the Hugging Face hub or in a local folder.

    location: The name of the dataset, for error messages.
    Raises UserError if the split cannot be loaded, and in the same cases as `read_table`.
    """
    return _hub(hub, config, split, _names(columns, location), location)


def _names(columns: Columns, location: str) -> tuple[str, str]:
    """Return the column names. Raises UserError if a column is given by number."""
    source, target = columns
    if isinstance(source, str) and isinstance(target, str):
        return source, target
    raise UserError(
        f"{location}: data.source_column and data.target_column must both be names; use "
        "two numbers only for a TSV file without a header"
    )


def _check_columns(names: Iterable[str], columns: list[str], location: str) -> None:
    for name in names:
        if name not in columns:
            raise UserError(
                f"{location}: no column {name!r}; existing columns: "
                f"{', '.join(map(repr, columns)) or 'none'}; rename a column, "
                f"or set data.source_column and data.target_column{did_you_mean(name, columns)}"
            )
        if columns.count(name) > 1:
            raise UserError(
                f"{location}: {columns.count(name)} columns are named {name!r}; rename all but one"
            )


def require_line(value: object, column: str, location: str) -> str:
    """Return the text with newlines replaced by spaces. Raises UserError if `value` is not text."""
    if not isinstance(value, str):
        kind = "null" if value is None else type(value).__name__
        raise UserError(f"{location}: column {column!r} is {kind}, not text; fix or remove the row")
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON can contain half a character: "\ud83d"
        raise UserError(
            f"{location}: column {column!r} contains half a surrogate pair; fix or remove the row"
        ) from None
    return value.replace("\n", " ")


def _tsv(path: Path, columns: Columns) -> Iterator[Example]:
    """Yield the examples of a TSV file. A header is expected unless both columns are numbers."""
    lines = enumerate(read_lines(path), 1)
    ending = ""
    source, target = columns
    if isinstance(source, int) and isinstance(target, int):
        if min(source, target) < 1:
            raise UserError(f"{path}: no column {min(source, target)}; column numbers start at 1")
        first, second = source - 1, target - 1
    else:
        names = _names(columns, str(path))
        _, header = next(lines, (0, None))
        if header is None:
            return
        ending = "\r" if header.endswith("\r") else ""  # the file has Windows line ends
        header_cells = header.removesuffix(ending).split("\t")
        _check_columns(names, header_cells, str(path))
        first, second = map(header_cells.index, names)
    needed = max(first, second) + 1
    for number, line in lines:
        row = line.removesuffix(ending).split("\t")
        if len(row) < needed:
            raise UserError(
                f"{path}:{number}: the line has {len(row)} columns, but needs at least {needed}; "
                "separate columns by a single tab"
            )
        yield Example(row[first], row[second])


def _conllu(path: Path, names: tuple[str, str]) -> Iterator[Example]:
    """Yield one example per sentence: its words and their labels, separated by spaces."""
    _check_columns(names, list(CONLLU_COLUMNS), str(path))
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
    """Yield the items of nested dictionaries. A key joins the keys of all levels by dots."""
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
            _check_columns(names, _flat(file.schema_arrow.empty_table()).column_names, str(path))
            batches = file.iter_batches(_ROWS, columns=list(names))
            tables = (pa.Table.from_batches([batch]) for batch in batches)
            yield from _read_arrow(tables, names, str(path))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None


def _hub(
    hub: str, config: str | None, split: str, names: tuple[str, str], location: str
) -> Iterator[Example]:
    yield from _dataset(_load_hub(hub, config, split, location), names, location)


def read_dataset(dataset: datasets.Dataset, columns: Columns, location: str) -> Iterator[Example]:
    """Yield the examples of a loaded dataset. `location` is its name in error messages."""
    return _dataset(dataset, _names(columns, location), location)


def read_record(record: Mapping[str, object], columns: Columns, location: str) -> Example:
    """Read an example from a dictionary. Column "a.b" is the key "b" of the dictionary "a".
    Raises UserError for a missing column or a value that is not text."""
    values = dict(_dotted(record))
    names = _names(columns, location)
    _check_columns(names, list(values), location)
    source, target = (require_line(values[name], name, location) for name in names)
    return Example(source, target)


def _dataset(dataset: datasets.Dataset, names: tuple[str, str], location: str) -> Iterator[Example]:
    schema = dataset.features.arrow_schema
    _check_columns(names, _flat(schema.empty_table()).column_names, location)
    # The Arrow format reads from the memory-mapped file and does not decode other columns.
    yield from _read_arrow(dataset.with_format("arrow").iter(_ROWS), names, location)


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
    tables: Iterable[pa.Table], names: Sequence[str], location: str
) -> Iterator[Example]:
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
                require_line(value, name, row_location)
                for value, name in zip(values, names, strict=True)
            )
            yield Example(source, target)
        rows_before += table.num_rows
