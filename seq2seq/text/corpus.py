r"""Read the splits of a corpus, one example at a time, without losing, adding or shifting a line.

If the input cannot be read exactly, an error names the file and the line. There are three
exceptions:

- A byte order mark at the start of a file is dropped.
- A newline inside a value of a table becomes a space.
- A line may end in "\r\n" instead of "\n".

Memory use does not grow with the size of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from seq2seq.config.data_section import DataConfig
from seq2seq.config.features_section import FeaturesConfig
from seq2seq.config.schema import Config
from seq2seq.config.section import Side
from seq2seq.errors import UserError, counted
from seq2seq.text.arrow_tables import read_hub
from seq2seq.text.columns import Columns
from seq2seq.text.data_files import is_table, split_files
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.memory import MemoryData, Split, data_columns, feature_columns
from seq2seq.text.references import (
    check_features,
    expand_targets,
    reference_sides,
    row_of_pair,
    with_features,
    with_references,
)
from seq2seq.text.tables import locate_table_row, read_table

_FEATURES = FeaturesConfig()


def read_examples(
    data: DataConfig,
    split: Split,
    memory: MemoryData | None = None,
    features: FeaturesConfig = _FEATURES,
) -> Iterator[Example]:
    r"""Yield all examples of a split, in their original order.

    If `memory` holds the split, read the split from `memory`. Otherwise read the files in
    `data.<split>`. If this key is not set or the files do not exist, read the dataset in
    `data.hub`. If `data.source` is empty, the source of each example is empty. A "\n" inside a
    value becomes a space.

    features: How the features are written, if `data` names features.

    Raises UserError at once if the split is not configured or not found. During iteration, raises
    UserError for an empty or damaged file, invalid UTF-8, parallel files of different lengths, a
    missing column, a value that is not text, a wrong number of features, or a dataset that cannot
    be loaded. The message names the file and the line, or the number of the row.
    """
    rows = _read_rows(data, split, memory, features)

    def place(number: int) -> str:
        return locate_row(data, split, number, memory)

    return expand_targets(data, rows, place, training=split == "train")


def _read_rows(
    data: DataConfig, split: Split, memory: MemoryData | None, features: FeaturesConfig
) -> Iterator[Example]:
    """Yield one example for each row of a split. Raises the errors of `read_examples`."""
    if memory is not None and split in memory:
        rows = _refuse_empty(_without_source(data, memory.read(split)), split)
    else:
        pairs = _read_pairs(data, split, data_columns(data), in_memory=memory is not None)
        rows = _with_further(data, pairs, split, features)
    if data.features is None:
        return rows
    return check_features(rows, lambda number: locate_row(data, split, number, memory), features)


def locate_example(
    data: DataConfig, side: Side, number: int, memory: MemoryData | None, split: Split = "train"
) -> str:
    """Return where the source or target of an example is, for messages.

    The place is a file and a line, or a row or item of the data set.

    number: The position of the example in the data set, counted from 1.
    """
    if data.alternatives and split == "train":  # one row may become several examples
        plain = data.model_copy(update={"features": None})  # only the targets are needed
        rows = _read_rows(plain, "train", memory, _FEATURES)
        number = row_of_pair(rows, data.alternatives, number)
    elif data.merge_sources and split != "train":  # several rows may become one example
        files = [] if memory is not None and split in memory else split_files(data, split)
        return f"{files[0] if files else f'data.{split}'}, item {number}"
    return locate_row(data, split, number, memory, side)


def locate_row(
    data: DataConfig,
    split: Split,
    number: int,
    memory: MemoryData | None = None,
    side: Side = "source",
) -> str:
    """Return where a row of a split is: a file and a line, or the number of the row.

    number: The number of the row, counted from 1.
    """
    in_memory = memory is not None and split in memory
    files = [] if in_memory else split_files(data, split)
    if not files:
        return f"data.{split}, row {number}"
    if len(files) == 1 and (data.source or is_table(files[0])):
        return locate_table_row(files[0], data_columns(data), number, data.quoting)
    return f"{files[side == 'target' and len(files) > 1]}:{number}"


def _with_further(
    data: DataConfig, examples: Iterator[Example], split: Split, features: FeaturesConfig
) -> Iterator[Example]:
    """Yield the examples with their features, and with the references in `data.references`.

    Training does not use further references.
    """
    others = [] if split == "train" else reference_sides(data)
    if isinstance(getattr(data, split), list) and (data.features is not None or others):
        key = "data.references" if data.features is None else "data.features"
        raise UserError(
            f"{key}: data.{split} is a list of two files and cannot have further files; name the "
            "common prefix of parallel files, or a table"
        )
    examples = with_features(
        data, examples, lambda side: _read_pairs(side, split, feature_columns(side, features))
    )
    return with_references(
        examples,
        [_read_pairs(side, split, data_columns(side, "data.references")) for side in others],
    )


def _read_pairs(
    data: DataConfig, split: Split, columns: Columns, *, in_memory: bool = False
) -> Iterator[Example]:
    """Yield the pairs of source and target of a split from files or a hub dataset.

    columns: The columns of `data`.
    in_memory: See `split_files`. Raises the errors of `read_examples`.
    """
    files = split_files(data, split, in_memory=in_memory)
    if not files:
        hub_split = data.hub_splits[split]
        location = f"data.hub {data.hub!r}, split {hub_split!r}"
        examples = read_hub(str(data.hub), data.hub_config, hub_split, columns, location)
    elif len(files) == 2:
        location = f"{files[0]} and {files[1]}"
        examples = _parallel(*files)
    elif is_table(files[0]) or data.source:
        return _read_table_pairs(data, files[0], columns)
    else:
        location = str(files[0])
        examples = (Example("", line) for line in read_lines(files[0]))
    return _refuse_empty(_without_source(data, examples), location)


def read_table_file(
    data: DataConfig, path: Path, features: FeaturesConfig = _FEATURES
) -> Iterator[Example]:
    """Yield the examples of one table file. Read the columns that the `[data]` of a model names.

    features: How the features are written, if `data` names features.
    Raises the errors of `read_examples`.
    """

    def place(number: int) -> str:
        return locate_table_row(path, data_columns(data), number, data.quoting)

    def read(side: DataConfig, columns: Columns) -> Iterator[Example]:
        return _read_table_pairs(side, path, columns._replace(key=""))

    others = [read(side, data_columns(side)) for side in reference_sides(data)]
    rows = with_references(read(data, data_columns(data)), others)
    rows = with_features(data, rows, lambda side: read(side, feature_columns(side, features)))
    if data.features is not None:
        rows = check_features(rows, place, features)
    return expand_targets(data, rows, place, training=False)


def _read_table_pairs(data: DataConfig, path: Path, columns: Columns) -> Iterator[Example]:
    examples = read_table(path, columns, data.quoting)
    return _refuse_empty(_without_source(data, examples), str(path))


def validation_sets(config: Config, memory: MemoryData | None = None) -> dict[str, DataConfig]:
    """Return the validation sets by name, each as a `[data]` section whose `valid` is this set.

    The set that chooses the best weights comes first. A set without a name has the name "". If the
    validation data is in memory, it is the only set.
    """
    data = config.data
    if memory is not None and "valid" in memory:
        return {"": data}
    names = sorted(data.valid_sets, key=lambda name: name != config.selecting_set)
    return {name: data.model_copy(update={"valid": data.valid_sets[name]}) for name in names}


def _without_source(data: DataConfig, examples: Iterator[Example]) -> Iterator[Example]:
    """Yield the examples. If `data.source` is empty, replace each source by an empty one."""
    if data.source:
        return examples
    return (example._replace(source="") if example.source else example for example in examples)


def _refuse_empty(examples: Iterator[Example], location: str) -> Iterator[Example]:
    """Yield the examples. Raises UserError if there are no examples.

    location: The file or split, for the error message.
    """
    first = next(examples, None)
    if first is None:
        raise UserError(f"{location}: there are no examples; add at least one")
    yield first
    yield from examples


def _parallel(source_file: Path, target_file: Path) -> Iterator[Example]:
    """Yield the pairs of two parallel files. Raises UserError if their line counts differ."""
    files = (read_lines(source_file), read_lines(target_file))
    for number, (source, target) in enumerate(zip_longest(*files)):
        if source is None or target is None:
            counts = [number, number]
            longer = 0 if target is None else 1
            counts[longer] += 1 + sum(1 for _ in files[longer])
            raise UserError(
                f"{source_file} has {counted(counts[0], 'line')} and {target_file} has {counts[1]}"
                "; each line of the second file must belong to the same line of the first"
            )
        yield Example(source, target)
