"""Where the data sets of a configuration lie: how they are found, and how they are named in a model
folder, which may be given to others."""

from __future__ import annotations

import os
import re
from pathlib import Path

from seq2seq.config.schema import DataConfig

_SPLITS = ("train", "valid", "test")
# The folders of a path that is absolute or begins with "../", where an argument or a value in it
# begins.
_OUTSIDE = re.compile(r"""(?<![^='"\[,( ])(?:/|(?:\.\./)+)(?:[^/'",]+/)*(?=[^/])""")
_Value = str | list[str] | None


def find_data(data: DataConfig, folder: Path, made_with: DataConfig | None = None) -> DataConfig:
    """Make the paths absolute: a file is looked up from `folder`, then from `$SEQ2SEQ_DATA`.

    made_with: the same data sets with the paths that a run read; these are tried first. A file that
    is nowhere gets the first path that was tried.
    """
    folders = [folder.resolve(), *_data_folder()]
    # What a prefix is completed with; a table and each of two files stand there as they are.
    endings = ["", ".gz"]
    endings += [f".{side}{gz}" for side in (data.source, data.target) for gz in ("", ".gz")]

    def find(name: str, made_from: str | None) -> str:
        places = [Path(made_from)] if made_from else []
        places += [base / name for base in folders]
        found = (p for p in places if any(Path(f"{p}{ending}").is_file() for ending in endings))
        return str(next(found, places[0]))

    paths: dict[str, object] = {}
    for split in _SPLITS:
        value: _Value = getattr(data, split)
        earlier: _Value = getattr(made_with, split, None)
        if isinstance(value, list):
            known = earlier if isinstance(earlier, list) else [None] * len(value)
            paths[split] = [find(*pair) for pair in zip(value, known, strict=True)]
        elif value is not None:
            paths[split] = find(value, earlier if isinstance(earlier, str) else None)
    # A hub id has the form owner/name; a folder beside the configuration is one on this disk.
    if data.hub is not None:
        places = [base / data.hub for base in folders]
        if made_with is not None and made_with.hub is not None:
            places.insert(0, Path(made_with.hub))
        paths["hub"] = next((str(place) for place in places if place.is_dir()), data.hub)
    return data.model_copy(update=paths)


def name_data(data: DataConfig) -> DataConfig:
    """Replace absolute paths by names that say nothing about the machine.

    A path under `$SEQ2SEQ_DATA` is named from there. Any other one keeps its last component, or two
    where the data sets could not be told apart otherwise. A local folder in place of a hub id is
    written `./name`, so that nobody takes it for an id.
    """
    values = {split: _as_tuple(getattr(data, split)) for split in _SPLITS}
    named: dict[str, tuple[str, ...]] = {}
    for depth in (1, 2):
        named = {
            split: tuple(_short_name(path, depth) for path in paths)
            for split, paths in values.items()
        }
        if len(set(named.values())) == len(set(values.values())):
            break
    update: dict[str, object] = {
        split: list(named[split]) if isinstance(getattr(data, split), list) else named[split][0]
        for split in _SPLITS
        if named[split]
    }
    if data.hub is not None and _is_outside(data.hub):
        update["hub"] = f"./{_short_name(data.hub, 1)}"
    return data.model_copy(update=update)


def are_names_of(names: DataConfig, found: DataConfig) -> bool:
    """Whether every name in `names` can stand for the path in `found`: it is the end of it."""

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
    """Cut every absolute path in a text, such as an argument of a command, to its last component;
    every path that begins with `../` too."""
    return _OUTSIDE.sub("", text)


def _as_tuple(value: _Value) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (value,)


def _data_folder() -> list[Path]:
    folder = os.environ.get("SEQ2SEQ_DATA")
    return [Path(folder).resolve()] if folder else []


def _is_outside(path: str) -> bool:
    """Whether the path is absolute or leaves the folder that it starts from."""
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
