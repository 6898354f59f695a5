"""The folder of an exported model, which is read without PyTorch.

    export.json  config.toml  tokenizer.model  statistics.json  prepare.onnx  encode.onnx  step.onnx

The file export.json is the manifest. It contains the format, a description of how the graphs fit
together, and a checksum of every file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seq2seq.checked_files import check_file, check_sums, open_manifest, seal_manifest
from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.export.manifest_file import MANIFEST_NAME
from seq2seq.export.manifest_file import is_export as is_export
from seq2seq.export.sessions import has_fast_int8
from seq2seq.files import sha256_of, write_new
from seq2seq.tasks import Task
from seq2seq.text.codec import Codec, codec_files
from seq2seq.text.labels import LabelSet

_log = logging.getLogger(__name__)

EXPORT_FORMAT = 2
CONFIG_NAME = "config.toml"
_GRAPH_BYTES = 1 << 31  # ONNX Runtime reads no larger file
_KEYS = ("format", "precision", "rows", "memory", "shortlist", "vocabulary", "sha256")
NO_VECTORS = "an export gives no encoder vectors: use the model folder that it was made from"


@dataclass(frozen=True)
class Export:
    """An opened export.

    precision: "int8" or "fp32".
    rows: the names of the state arrays that have one row per hypothesis.
    memory: the arrays that have one row per source, by name. The value of an entry is the number of
        the axis whose size is the source length, or None.
    has_shortlist: whether the model predicts only the tokens of a shortlist.
    """

    folder: Path
    config: Config
    codec: Codec
    precision: str
    rows: list[str]
    memory: dict[str, int | None]
    has_shortlist: bool

    @property
    def table_size(self) -> int:
        """The size of the largest vocabulary: of source, target, labels or features."""
        labels = self.codec.labels
        classes = len(labels) if isinstance(labels, LabelSet) else 0
        source = len(self.codec.source) + len(self.codec.features or ())
        return max(source, self.codec.target_size, classes)

    def graph(self, name: str) -> Path:
        """Return the path of the ONNX graph with this name."""
        return self.folder / f"{name}.onnx"


def write_export_manifest(folder: Path, contents: dict[str, Any]) -> None:
    """Write the manifest, with the checksum of every file of the folder."""
    sums = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    text = seal_manifest({"format": EXPORT_FORMAT, **contents, "sha256": sums})
    write_new(folder / MANIFEST_NAME, text.encode())


def open_exports(
    folders: Sequence[str | Path], tasks: Sequence[Task], *, device: str, precision: str
) -> list[Export]:
    """Open an export, or several for an ensemble.

    device, precision: the values that the caller would pass for a model on PyTorch.

    Raises UserError as `load_export` does. Also raises UserError for a folder that is not an
    export, for a GPU, and for bf16.
    """
    for folder in folders:
        if not is_export(folder):
            raise UserError(f"{folder} is not an export: use exports only, or no exports")
    if device not in ("auto", "cpu"):
        raise UserError(
            f"{folders[0]} is an export, which runs on the CPU: leave out the device {device!r}"
        )
    if precision == "bf16":
        raise UserError(
            f"{folders[0]} is an export, whose precision is fixed: leave out the precision"
        )
    exports = [load_export(Path(folder), tasks) for folder in folders]
    if any(export.precision == "int8" for export in exports) and not has_fast_int8():
        _log.warning(
            "this processor multiplies 8-bit integers slowly: an export with --precision fp32 may "
            "be faster"
        )
    return exports


def load_export_config(folder: Path) -> Config:
    """Read the configuration of an export. Raises UserError as `load_export` does."""
    return _read_config(folder, _read_manifest(folder))


def load_export(folder: Path, tasks: Sequence[Task] = ()) -> Export:
    """Check all files of an export and open it.

    tasks: the permitted tasks of the model. If empty, every task is permitted.

    Raises UserError for a manifest of another format, for a file that is missing or damaged, and
    for a model of another task.
    """
    manifest = _read_manifest(folder)
    config = _read_config(folder, manifest)
    if tasks and config.task not in tasks:
        wanted = " or ".join(repr(task.name) for task in tasks)
        commands = " and ".join(f"seq2seq {command}" for command in config.task.commands)
        raise UserError(
            f"{folder} is a model of task {config.task.name!r}, not {wanted}: use this model "
            f"with {commands}"
        )
    _check(folder, {*manifest["sha256"], *codec_files(folder), *_graph_files(manifest)}, manifest)
    return Export(
        folder,
        config,
        Codec.load(folder, config),
        str(manifest["precision"]),
        [str(name) for name in manifest["rows"]],
        {str(name): axis for name, axis in manifest["memory"].items()},
        bool(manifest["shortlist"]),
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_NAME
    try:
        values = open_manifest(path, _KEYS)
        number = values["format"]
        if number == EXPORT_FORMAT:
            check_sums(values["sha256"])
            if not _are_states(values["rows"], values["memory"]):
                raise ValueError(
                    "the key rows must hold a list of names, and the key memory must map names to "
                    "axis numbers"
                )
            if values["precision"] not in ("int8", "fp32"):
                raise ValueError("the key precision must be int8 or fp32")
            if not isinstance(values["shortlist"], bool):
                raise ValueError("the key shortlist must be true or false")
    except OSError as error:
        raise _unreadable(path, error) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not the manifest of an export ({error}): export the model again"
        ) from None
    if number != EXPORT_FORMAT:
        raise UserError(
            f"{path}: the export has format {number!r}, and this seq2seq reads format "
            f"{EXPORT_FORMAT}: export the model again with this version"
        )
    return dict(values)


def _are_states(rows: object, memory: object) -> bool:
    """Return whether two values of an export's manifest have the right types.

    rows: must be a list of names. memory: must map names to axes, which are integers or null.
    """
    if not isinstance(rows, list) or not isinstance(memory, dict):
        return False
    names = all(type(name) is str for name in rows)
    return names and all(axis is None or type(axis) is int for axis in memory.values())


def _graph_files(manifest: dict[str, Any]) -> set[str]:
    """Return the names of the ONNX graphs and NumPy tables of an export with this manifest."""
    if not manifest["rows"]:
        names = {"prepare.onnx", "label.onnx"}
    else:
        names = {"prepare.onnx", "step.onnx"} | ({"encode.onnx"} if manifest["memory"] else set())
    if manifest["shortlist"]:
        names |= {"candidates.onnx", "shortlist.npy", "frequent.npy"}
    return names


def _read_config(folder: Path, manifest: dict[str, Any]) -> Config:
    _check(folder, [CONFIG_NAME], manifest)
    try:
        return toml.read_config(folder / CONFIG_NAME)
    except OSError as error:
        raise _unreadable(folder / CONFIG_NAME, error) from None


def _check(folder: Path, names: Iterable[str], manifest: dict[str, Any]) -> None:
    for name in sorted(names):
        try:
            check_file(
                folder / name,
                manifest["sha256"],
                _GRAPH_BYTES,
                "copy the export again, or export the model again",
            )
        except OSError as error:
            raise _unreadable(folder / name, error) from None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot be read ({error.strerror or error})")
