"""Reads raw parallel text strictly, one example at a time: no line is lost, added or shifted.

Refuses whatever it cannot read as it stands, with file and line. Mends three things alone in
silence: it drops a byte order mark at the beginning of a file, turns a newline inside a value of a
table into a space, and ends the lines of a TSV as its header ends. Memory does not grow with the
corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from seq2seq.config.schema import DataConfig
from seq2seq.errors import UserError
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.memory import MemoryData, Split, data_columns
from seq2seq.text.tables import TABLE_SUFFIXES, read_hub, read_table


def read_examples(
    data: DataConfig, split: Split, memory: MemoryData | None = None
) -> Iterator[Example]:
    r"""Read a split, in the order of the file and with nothing dropped; without `data.source`, the
    source of each example is empty.

    Reads what `memory` holds of the split. Else reads the files that `data.<split>` names, or
    `data.hub` where it names none or they are not there. Neither side holds a "\n": one inside a
    JSON, Parquet or hub value, or in memory, becomes a space.

    Raises UserError at once for a split that is not set or not found; while iterating for an
    empty or broken file, bad UTF-8, files of different length, a missing column or a value that
    is no text, and a dataset that cannot be loaded.
    """
    if memory is not None and split in memory:
        return _refuse_empty(_without_source(data, memory.read(split)), split)
    files = _find_files(data, split, in_memory=memory is not None)
    if not files:
        hub_split = data.hub_splits[split]
        location = f"data.hub {data.hub!r}, split {hub_split!r}"
        examples = read_hub(str(data.hub), data.hub_config, hub_split, data_columns(data), location)
    elif len(files) == 2:
        location = f"{files[0]} and {files[1]}"
        examples = _parallel(*files)
    elif is_table(files[0]):
        return read_table_file(data, files[0])
    else:
        location = str(files[0])
        examples = (Example("", line) for line in read_lines(files[0]))
    return _refuse_empty(_without_source(data, examples), location)


def is_table(path: Path) -> bool:
    """Whether the file holds both sides, by its name."""
    return path.name.endswith(TABLE_SUFFIXES)


def read_table_file(data: DataConfig, path: Path) -> Iterator[Example]:
    """Read one table from the columns that `data` names, as `read_examples` does."""
    examples = read_table(path, data_columns(data))
    return _refuse_empty(_without_source(data, examples), str(path))


def has_split(data: DataConfig, split: Split, memory: MemoryData | None = None) -> bool:
    """Whether there is such a split: in memory, or named by the configuration, as files or as one
    of its hub dataset's."""
    if memory is not None and split in memory:
        return True
    return getattr(data, split) is not None or (data.hub is not None and split in data.hub_splits)


def input_files(data: DataConfig, split: Split) -> list[Path]:
    """The local files that hold a split, to hash what artifacts were made from.

    Where the split is read from `data.hub`: all files of it if it is a local folder, else none.
    Raises UserError for a split that is not set or not found.
    """
    files = _find_files(data, split)
    if not files and data.hub is not None:
        return sorted(path for path in Path(data.hub).rglob("*") if path.is_file())
    return files


def _without_source(data: DataConfig, examples: Iterator[Example]) -> Iterator[Example]:
    if data.source:
        return examples
    return (example._replace(source="") if example.source else example for example in examples)


def _find_files(data: DataConfig, split: Split, *, in_memory: bool = False) -> list[Path]:
    """Two parallel files, one table or text, or nothing where the hub is to be read. in_memory: a
    split may be given in Python, too."""
    value: str | list[str] | None = getattr(data, split)
    if value is None:
        if not has_split(data, split):
            hub_key = "data.hub" if data.hub is None else f"data.hub_splits.{split}"
            given = f"give {split}=..., or " if in_memory else ""
            raise UserError(
                f"data.{split} is not set; {given}name its files there, or set {hub_key}"
            )
        return []
    if isinstance(value, list):
        candidates = [[Path(name)] for name in value]
    elif is_table(Path(value)):
        candidates = [[Path(value)]]
    elif not data.source:
        candidates = [[Path(value), Path(f"{value}.gz")]]
    else:
        sides = (data.source, data.target)
        candidates = [[Path(f"{value}.{side}"), Path(f"{value}.{side}.gz")] for side in sides]
    existing = [[path for path in paths if path.is_file()] for paths in candidates]
    if all(existing):
        return [paths[0] for paths in existing]
    # One file of two is a mistake even where there is a hub: its owner meant it to be read.
    if not any(existing) and data.hub is not None and split in data.hub_splits:
        return []
    missing = [
        " or ".join(map(str, paths))
        for paths, files in zip(candidates, existing, strict=True)
        if not files
    ]
    raise UserError(
        f"data.{split}: no such file: {' and '.join(missing)}; put it there or under $SEQ2SEQ_DATA"
    )


def _refuse_empty(examples: Iterator[Example], location: str) -> Iterator[Example]:
    first = next(examples, None)
    if first is None:
        raise UserError(f"{location}: empty; a split needs at least one pair")
    yield first
    yield from examples


def _parallel(source_file: Path, target_file: Path) -> Iterator[Example]:
    files = (read_lines(source_file), read_lines(target_file))
    for number, (source, target) in enumerate(zip_longest(*files)):
        if source is None or target is None:
            counts = [number, number]
            longer = 0 if target is None else 1
            counts[longer] += 1 + sum(1 for _ in files[longer])
            raise UserError(
                f"{source_file} has {counts[0]} lines and {target_file} has {counts[1]}; "
                "line n of one must be the translation of line n of the other"
            )
        yield Example(source, target)
