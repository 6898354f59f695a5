"""Read the columns of Arrow tables: of Parquet files and of Hugging Face datasets."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError
from seq2seq.text.columns import Columns
from seq2seq.text.example import Example
from seq2seq.text.values import LabelNames, label_names, named_value

if TYPE_CHECKING:  # both are slow to import, and many commands use neither
    import datasets
    import pyarrow as pa

_log = logging.getLogger(__name__)

_SAVED_TO_DISK = ("dataset_dict.json", "state.json")  # files that save_to_disk of datasets writes
_ROWS = 1024  # number of Arrow rows that are converted to strings at a time
ArrowRow = tuple[object, object, str]  # the values of the source and the target, and their location


def read_parquet(path: Path, columns: Columns) -> Iterator[ArrowRow]:
    """Yield the rows of a Parquet file. Raises UserError in the cases of `read_table`."""
    import pyarrow as pa
    from pyarrow import parquet

    names = columns.names(str(path))
    try:
        with parquet.ParquetFile(path, memory_map=True) as file:
            schema = file.schema_arrow
            columns.check(names, _flat(schema.empty_table()).column_names, str(path))
            labels: LabelNames = {}
            if b"huggingface" in (schema.metadata or {}):  # written by `datasets`
                import datasets

                labels = dict(label_names(datasets.Features.from_arrow_schema(schema)))
            batches = file.iter_batches(_ROWS, columns=list(names))
            tables = (pa.Table.from_batches([batch]) for batch in batches)
            yield from _read_arrow(tables, names, str(path), labels)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {_first_line(error)}") from None


def read_hub(
    hub: str, config: str | None, split: str, columns: Columns, location: str
) -> Iterator[Example]:
    """Yield the examples of one split of a dataset on the Hugging Face hub or in a local folder.

    location: The name of the dataset, for error messages.
    Raises UserError if the split cannot be loaded, and in the same cases as `read_table`.
    """
    columns.names(location)
    return _hub(hub, config, split, columns, location)


def _hub(
    hub: str, config: str | None, split: str, columns: Columns, location: str
) -> Iterator[Example]:
    yield from read_dataset(_load_hub(hub, config, split, location), columns, location)


def read_dataset(dataset: datasets.Dataset, columns: Columns, location: str) -> Iterator[Example]:
    """Yield the examples of a loaded dataset.

    location: The name of the dataset in error messages.
    """
    names = columns.names(location)
    schema = dataset.features.arrow_schema
    columns.check(names, _flat(schema.empty_table()).column_names, location)
    # The Arrow format reads from the memory-mapped file and does not decode other columns.
    labels = dict(label_names(dataset.features))
    tables = dataset.with_format("arrow").iter(_ROWS)
    rows = _read_arrow(tables, names, location, labels)
    yield from itertools.starmap(columns.example, rows)


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
) -> Iterator[ArrowRow]:
    """Yield the rows of Arrow tables.

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
                named_value(value, name, row_location, labels)
                for value, name in zip(values, names, strict=True)
            )
            yield source, target, row_location
        rows_before += table.num_rows
