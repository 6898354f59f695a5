"""Find the data sets of a configuration, and shorten their paths for a model folder.

A user may give a model folder to other people, so the folder must not contain private paths.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import cast

from seq2seq.config.data_section import DataConfig
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.file_types import PACKED_SUFFIXES

_SPLITS = ("train", "valid", "test")
# The folders of a path that is absolute or begins with "../". The path must stand at the beginning
# of a word, of a quoted string, or of a value after "=", "[", "(" or ",".
_OUTSIDE = re.compile(r"""(?<![^='"\[,( ])(?:/|(?:\.\./)+)(?:[^/'",]+/)*(?=[^/])""")
_Value = str | list[str] | dict[str, str | list[str]] | None


def find_data(data: DataConfig, folder: Path, made_with: DataConfig | None = None) -> DataConfig:
    """Return a copy of `data` in which all paths are absolute.

    A relative path is looked up in `folder` first, then in `$SEQ2SEQ_DATA`. If the file is in none
    of these folders, the result is the first path that was tried.

    made_with: The data sets of an earlier run, whose absolute paths are tried before all others.
    """
    folders = [folder.resolve(), *_data_folder()]
    # A prefix is completed with one of these endings. The paths of a table and of two separate
    # files are complete already (ending "").
    packed = ("", *PACKED_SUFFIXES)
    endings = [f".{side}{suffix}" for side in (data.source, data.target) for suffix in packed]
    endings += packed

    def find(name: str, made_from: str | None) -> str:
        places = [Path(made_from)] if made_from else []
        places += [base / name for base in folders]
        found = (p for p in places if any(Path(f"{p}{ending}").is_file() for ending in endings))
        return str(next(found, places[0]))

    def find_all(value: _Value, earlier: _Value) -> _Value:
        if isinstance(value, dict):
            known_sets = earlier if isinstance(earlier, dict) else {}
            found = {name: find_all(paths, known_sets.get(name)) for name, paths in value.items()}
            return cast(_Value, found)
        if isinstance(value, list):
            known = earlier if isinstance(earlier, list) else [None] * len(value)
            return [find(*pair) for pair in zip(value, known, strict=True)]
        if value is None:
            return None
        return find(value, earlier if isinstance(earlier, str) else None)

    paths: dict[str, object] = {
        split: find_all(getattr(data, split), getattr(made_with, split, None)) for split in _SPLITS
    }
    # `hub` may be a hub id (owner/name) or a local folder. An existing folder takes precedence.
    if data.hub is not None:
        places = [base / data.hub for base in folders]
        if made_with is not None and made_with.hub is not None:
            places.insert(0, Path(made_with.hub))
        paths["hub"] = next((str(place) for place in places if place.is_dir()), data.hub)
    return data.model_copy(update=paths)


def find_vocabulary(tokenizer: TokenizerConfig, folder: Path) -> TokenizerConfig:
    """Return the settings with the absolute path and the checksum of `tokenizer.model`.

    A relative path is looked up like the path of a data set. A checksum that is already set is
    kept.
    """
    if tokenizer.model is None:
        return tokenizer
    places = [base / tokenizer.model for base in (folder.resolve(), *_data_folder())]
    path = next((place for place in places if place.is_file()), places[0])
    checksum = tokenizer.sha256
    if checksum is None and path.is_file():
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
    return tokenizer.model_copy(update={"model": str(path), "sha256": checksum})


def name_vocabulary(tokenizer: TokenizerConfig) -> TokenizerConfig:
    """Return the settings with a short name of `tokenizer.model`, as `name_data` does."""
    if tokenizer.model is None:
        return tokenizer
    return tokenizer.model_copy(update={"model": _short_name(tokenizer.model, 1)})


def name_data(data: DataConfig) -> DataConfig:
    """Return a copy of `data` with short names, because paths may reveal private folders.

    A path under `$SEQ2SEQ_DATA` becomes relative to that folder. Any other path that is absolute or
    contains ".." is reduced to its last component. If two data sets would then have the same name,
    the last two components are kept. A local folder in `hub` becomes `./name`, so that the name
    cannot be mistaken for a hub id.
    """
    values = {split: _as_tuple(getattr(data, split)) for split in _SPLITS}
    named: dict[str, tuple[str, ...]] = {}
    for depth in (1, 2):
        named = {
            split: tuple(_short_name(path, depth) for path in paths)
            for split, paths in values.items()
        }
        if len({*chain(*named.values())}) == len({*chain(*values.values())}):
            break
    update: dict[str, object] = {
        split: _with_names(getattr(data, split), iter(named[split])) for split in _SPLITS
    }
    if data.hub is not None and _is_outside(data.hub):
        update["hub"] = f"./{_short_name(data.hub, 1)}"
    return data.model_copy(update=update)


def are_names_of(names: DataConfig, found: DataConfig) -> bool:
    """Return whether `names` holds the short names of the data sets in `found`.

    That is the case if each path in `found` ends with the corresponding path in `names`.
    """

    def ends_with(path: str, name: str) -> bool:
        wanted = Path(name).parts
        return Path(path).parts[-len(wanted) :] == wanted

    pairs = [
        (_as_tuple(getattr(names, key)), _as_tuple(getattr(found, key)))
        for key in (*_SPLITS, "hub")
    ]
    return all(
        len(short) == len(long) and all(map(ends_with, long, short)) for short, long in pairs
    )


def shorten_paths(text: str) -> str:
    """Return a text in which absolute paths and paths that begin with `../` are shortened.

    Only the last component of such a path is kept. The text is usually a command.
    """
    return _OUTSIDE.sub("", text)


def _as_tuple(value: _Value) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, dict):
        return tuple(chain.from_iterable(map(_as_tuple, value.values())))
    return tuple(value) if isinstance(value, list) else (value,)


def _with_names(value: _Value, names: Iterator[str]) -> _Value:
    if isinstance(value, dict):
        return cast(_Value, {key: _with_names(paths, names) for key, paths in value.items()})
    if isinstance(value, list):
        return [next(names) for _ in value]
    return None if value is None else next(names)


def _data_folder() -> list[Path]:
    folder = os.environ.get("SEQ2SEQ_DATA")
    return [Path(folder).resolve()] if folder else []


def _is_outside(path: str) -> bool:
    return Path(path).is_absolute() or ".." in Path(path).parts


def _short_name(path: str, depth: int) -> str:
    if not _is_outside(path):
        return path
    normal = Path(os.path.normpath(path))
    for base in _data_folder():
        if normal.is_relative_to(base) and normal != base:
            return str(normal.relative_to(base))
    parts = [part for part in normal.parts if part not in (normal.anchor, "..")]
    return str(Path(*parts[-depth:])) if parts else "."
