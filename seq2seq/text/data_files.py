"""Find the files of a data set, and tell tables from text."""

from __future__ import annotations

from pathlib import Path

from seq2seq.config.data_section import DataConfig
from seq2seq.errors import UserError
from seq2seq.file_types import PACKED_SUFFIXES
from seq2seq.text.lines import read_lines
from seq2seq.text.memory import MemoryData, Split
from seq2seq.text.references import feature_side, reference_sides
from seq2seq.text.tables import table_format


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
    files = split_files(data, split)
    if not files and data.hub is not None:
        return sorted(path for path in Path(data.hub).rglob("*") if path.is_file())
    if not isinstance(getattr(data, split), list):
        sides = [*reference_sides(data)] if split != "train" else []
        sides += [side for side in [feature_side(data)] if side]
        files += [path for side in sides for path in split_files(side, split)]
    return list(dict.fromkeys(files))


def split_files(data: DataConfig, split: Split, *, in_memory: bool = False) -> list[Path]:
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
