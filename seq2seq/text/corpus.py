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
from seq2seq.config.schema import Config
from seq2seq.errors import UserError, counted
from seq2seq.file_types import PACKED_SUFFIXES
from seq2seq.text.example import Example
from seq2seq.text.lines import read_lines
from seq2seq.text.memory import MemoryData, Split, data_columns
from seq2seq.text.references import (
    expand_targets,
    feature_side,
    reference_sides,
    with_features,
    with_references,
)
from seq2seq.text.tables import read_hub, read_table, table_format


def read_examples(
    data: DataConfig, split: Split, memory: MemoryData | None = None
) -> Iterator[Example]:
    r"""Yield all examples of a split, in their original order.

    If `memory` holds the split, read the split from `memory`. Otherwise read the files in
    `data.<split>`. If this key is not set or the files do not exist, read the dataset in
    `data.hub`. If `data.source` is empty, the source of each example is empty. A "\n" inside a
    value becomes a space.

    Raises UserError at once if the split is not configured or not found. During iteration, raises
    UserError for an empty or damaged file, invalid UTF-8, parallel files of different lengths, a
    missing column, a value that is not text, or a dataset that cannot be loaded.
    """
    if memory is not None and split in memory:
        examples = _refuse_empty(_without_source(data, memory.read(split)), split)
    else:
        pairs = _read_pairs(data, split, in_memory=memory is not None)
        examples = _with_further(data, pairs, split)
    return expand_targets(data, examples, f"data.{split}", training=split == "train")


def _with_further(data: DataConfig, examples: Iterator[Example], split: Split) -> Iterator[Example]:
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
    examples = with_features(data, examples, lambda side: _read_pairs(side, split))
    return with_references(examples, [_read_pairs(side, split) for side in others])


def _read_pairs(data: DataConfig, split: Split, *, in_memory: bool = False) -> Iterator[Example]:
    """Yield the pairs of source and target of a split from files or a hub dataset.

    in_memory: See `_find_files`. Raises the errors of `read_examples`.
    """
    files = _find_files(data, split, in_memory=in_memory)
    if not files:
        hub_split = data.hub_splits[split]
        location = f"data.hub {data.hub!r}, split {hub_split!r}"
        examples = read_hub(str(data.hub), data.hub_config, hub_split, data_columns(data), location)
    elif len(files) == 2:
        location = f"{files[0]} and {files[1]}"
        examples = _parallel(*files)
    elif is_table(files[0]) or data.source:
        return _read_table_pairs(data, files[0])
    else:
        location = str(files[0])
        examples = (Example("", line) for line in read_lines(files[0]))
    return _refuse_empty(_without_source(data, examples), location)


def is_table(path: Path) -> bool:
    """Return whether the file name has the suffix of a table, such as .tsv."""
    return table_format(path) is not None


def holds_pairs(data: DataConfig, path: Path) -> bool:
    """Return whether a file holds pairs: its name ends like a table's, or its first line has a tab.

    If `data.source` is empty, tabs are part of the text, so only the name counts.
    """
    return is_table(path) or (bool(data.source) and _has_tabs(path))


def _has_tabs(path: Path) -> bool:
    """Return whether the first line of a file contains a tab."""
    return "\t" in next(read_lines(path), "")


def read_table_file(data: DataConfig, path: Path) -> Iterator[Example]:
    """Yield the examples of one table file. Read the columns that `data` names.

    Raises the errors of `read_examples`.
    """
    others = [_read_table_pairs(side, path) for side in reference_sides(data)]
    examples = with_references(_read_table_pairs(data, path), others)
    examples = with_features(data, examples, lambda side: _read_table_pairs(side, path))
    return expand_targets(data, examples, str(path), training=False)


def _read_table_pairs(data: DataConfig, path: Path) -> Iterator[Example]:
    examples = read_table(path, data_columns(data), data.quoting)
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


def has_split(data: DataConfig, split: Split, memory: MemoryData | None = None) -> bool:
    """Return whether the split is in memory, or is configured as files or as a hub dataset.

    The function does not check whether the files or the dataset exist.
    """
    if memory is not None and split in memory:
        return True
    return getattr(data, split) is not None or (data.hub is not None and split in data.hub_splits)


def input_files(data: DataConfig, split: Split) -> list[Path]:
    """Return the local files that contain a split, so that a hash can detect changed data.

    If the split comes from `data.hub`, return all files of a local folder, or no files for a
    dataset on the Hugging Face hub. Raises UserError if the split is not configured or not found.
    """
    files = _find_files(data, split)
    if not files and data.hub is not None:
        return sorted(path for path in Path(data.hub).rglob("*") if path.is_file())
    if not isinstance(getattr(data, split), list):
        sides = [*reference_sides(data)] if split != "train" else []
        sides += [side for side in [feature_side(data)] if side]
        files += [path for side in sides for path in _find_files(side, split)]
    return list(dict.fromkeys(files))


def _without_source(data: DataConfig, examples: Iterator[Example]) -> Iterator[Example]:
    """Yield the examples. If `data.source` is empty, replace each source by an empty one."""
    if data.source:
        return examples
    return (example._replace(source="") if example.source else example for example in examples)


def _find_files(data: DataConfig, split: Split, *, in_memory: bool = False) -> list[Path]:
    """Return the files of a split: two parallel files, or one file (a table or text).

    Return an empty list if the split comes from `data.hub`.
    in_memory: Whether a Python program can also pass the split as an argument. If so, the error
        message mentions the argument.
    Raises UserError if the split is not configured or a file does not exist.
    """
    value = getattr(data, split)
    if isinstance(value, dict):  # several validation sets: the first one
        value = next(iter(value.values()))
    if value is None:
        if not has_split(data, split):
            hub_key = "data.hub" if data.hub is None else f"data.hub_splits.{split}"
            given = f"pass {split}=..., or " if in_memory else ""
            raise UserError(
                f"data.{split} is not set; {given}set this key to the name of the files, or set "
                f"{hub_key}"
            )
        return []
    if isinstance(value, list):
        candidates = [[Path(name)] for name in value]
    elif not data.source or is_table(Path(value)):
        candidates = [_with_packed(value)]
    else:
        candidates = [_with_packed(f"{value}.{side}") for side in (data.source, data.target)]
        if not any(path.is_file() for paths in candidates for path in paths):
            unnamed = next((path for path in _with_packed(value) if path.is_file()), None)
            if unnamed is not None:
                return [_require_tabs(unnamed, f"data.{split}")]
    existing = [[path for path in paths if path.is_file()] for paths in candidates]
    if all(existing):
        return [paths[0] for paths in existing]
    # If only one of two parallel files exists, report the missing one even if data.hub is set.
    # The user probably wants to read these files.
    if not any(existing) and data.hub is not None and split in data.hub_splits:
        return []
    missing = [
        f"{paths[0]} or {paths[0]}.gz (.xz, .bz2, .zst)" if len(paths) > 1 else str(paths[0])
        for paths, files in zip(candidates, existing, strict=True)
        if not files
    ]
    raise UserError(
        f"data.{split}: no such file: {' and '.join(missing)}; "
        "correct the name, or put the file into the folder $SEQ2SEQ_DATA"
    )


def _with_packed(name: str) -> list[Path]:
    """Return the path of a file and of its compressed forms, such as train.de and train.de.gz."""
    return [Path(f"{name}{suffix}") for suffix in ("", *PACKED_SUFFIXES)]


def _require_tabs(path: Path, key: str) -> Path:
    """Return `path`. Raises UserError, which names `key`, if the file's first line has no tab."""
    if not _has_tabs(path):
        raise UserError(
            f"{key}: {path} is not a table, because its first line has no tab; use a table, or "
            "the common prefix of two parallel files"
        )
    return path


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
