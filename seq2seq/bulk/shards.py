"""Find the shards of a folder. A shard is a file that one worker translates as a whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from seq2seq.errors import UserError
from seq2seq.files import locked_folder
from seq2seq.text.tables import table_format

RECEIPTS = "_receipts"  # readers such as pyarrow and Spark skip names that start with _
_REFUSED = (".arrow", ".avro", ".feather", ".json", ".orc", ".tar", ".tgz", ".xlsx", ".zip")


@dataclass(frozen=True)
class Shard:
    """An input file and the files that its translation is written to.

    name: the path of the input file within the input folder.
    size: the size of the input file in bytes.
    receipt: the file that describes how the finished output was made.
    """

    name: str
    size: int
    input: Path
    output: Path
    receipt: Path

    @property
    def is_parquet(self) -> bool:
        """Return whether the shard is a Parquet file rather than text."""
        return table_format(self.input) == "parquet"

    def remove_partial_files(self) -> None:
        """Delete the temporary files of workers that died while they wrote this shard."""
        for path in (self.output, self.receipt):
            for partial in path.parent.glob(f".{escape(path.name)}.*.part"):
                partial.unlink(missing_ok=True)


def find_shards(source: Path, output: Path) -> list[Shard]:
    """Return the shards of a folder and its subfolders, largest first.

    The large shards come first so that no worker is still busy with one when all others are idle.
    Files and folders whose names start with "." or "_" are skipped.

    Raises UserError if `source` is not a folder or holds no shard, if one of the two folders is
    inside the other, and for a file that is neither text nor Parquet.
    """
    if not source.is_dir():
        kind = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"{source}: {kind}; name the folder that holds the files to translate")
    here, there = source.resolve(), output.resolve()
    if here == there or here in there.parents or there in here.parents:
        raise UserError(
            f"{output}: the output folder and the input folder {source} must not contain each "
            "other; choose another output folder"
        )
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is not a folder; choose another output folder")
    shards = [
        Shard(
            name,
            (here / name).stat().st_size,
            here / name,
            there / name,
            there / RECEIPTS / f"{name}.json",
        )
        for name in _file_names(here)
    ]
    if not shards:
        raise UserError(
            f"{source}: the folder holds no files to translate; put text or Parquet files there"
        )
    for shard in shards:
        _check_format(source / shard.name)
    return sorted(shards, key=lambda shard: (-shard.size, shard.name))


def _file_names(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")):
                yield (Path(parent) / name).relative_to(folder).as_posix()


def _check_format(path: Path) -> None:
    kind = table_format(path)
    if kind is None and path.suffix.lower() in _REFUSED:
        kind = path.suffix[1:].lower()
    if kind not in (None, "parquet"):
        raise UserError(
            f"{path}: bulk translation does not read the format {kind}; use text with one text per "
            "line (also .gz, .xz, .bz2 or .zst), or Parquet"
        )


@contextmanager
def output_folder(folder: Path) -> Iterator[None]:
    """Create the output folder and lock it while the block runs.

    Raises UserError if another process translates into the folder.
    """
    problem = (
        "another process translates into this folder; wait until it ends, or choose another output "
        "folder"
    )
    with locked_folder(folder, problem):
        yield
