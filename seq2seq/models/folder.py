"""A model folder: complete, and can be moved.

    config.toml  tokenizer.model  model.safetensors  README.md (the model card)  manifest.json

Opening one runs nobody's code: text, a SentencePiece model and safetensors, each as the manifest
lists it. (The card may be changed: nothing reads it.)
"""

from __future__ import annotations

import errno
import json
import logging
import stat
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from seq2seq.config import toml
from seq2seq.config.data_paths import are_names_of, find_data, name_data
from seq2seq.config.schema import Config, DataConfig
from seq2seq.errors import UserError
from seq2seq.files import atomic_folder
from seq2seq.models.classifier import ClassifierNetwork
from seq2seq.models.language_model import LanguageModelNetwork
from seq2seq.models.manifest import read_manifest, write_manifest
from seq2seq.models.network import Network
from seq2seq.models.tagger import TaggerNetwork
from seq2seq.models.translation import TranslationNetwork
from seq2seq.tasks import Task
from seq2seq.text.codec import Codec

_log = logging.getLogger(__name__)

# Another number where networks compute something else of the same weights.
_WEIGHTS_VERSION = "3"

_CONFIG, _WEIGHTS, _CARD = "config.toml", "model.safetensors", "README.md"


@dataclass(frozen=True)
class Model:
    """A network with the configuration that shaped it and the codec that feeds it."""

    config: Config
    codec: Codec
    network: Network


def build_model(config: Config, codec: Codec) -> Model:
    """A network with fresh weights from torch's generator."""
    source, target, task = codec.source, codec.target, config.task
    network: Network
    if not task.has_source:
        network = LanguageModelNetwork(config, len(target), target.pad)
    elif task.has_target_text:
        conditions = task.source == "condition"
        inputs = len(codec.require_labels()) if conditions else len(source)
        network = TranslationNetwork(config, inputs, len(target), target.pad)
    elif task.labels_each_word:
        labels = len(codec.require_labels())
        network = TaggerNetwork(config, len(source), labels, source.pad, source.eos)
    else:
        labels = len(codec.require_labels())
        network = ClassifierNetwork(config, len(source), labels, source.pad)
    return Model(config, codec, network)


def save_model(folder: Path, model: Model, card: str) -> None:
    """Write the folder whole; one that has the name already is replaced.

    Its configuration names the data sets without absolute paths: see `find_model_data`.
    """
    named = model.config.model_copy(update={"data": name_data(model.config.data)})
    with atomic_folder(folder) as aside:
        (aside / _CONFIG).write_text(toml.dump_config(named), encoding="utf-8")
        model.codec.save(aside)
        save_weights(aside / _WEIGHTS, model.network)
        (aside / _CARD).write_text(card, encoding="utf-8")
        write_manifest(aside)


@contextmanager
def _explain_unreadable(folder: Path) -> Iterator[None]:
    """Within it, a file that may not be read raises UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{error.filename or folder}: cannot be read ({error.strerror or error}): ask its "
            "owner for the right to read it, or copy the folder again"
        ) from None


def load_model_config(folder: Path) -> Config:
    """The configuration in a model folder. Raises UserError where the folder is not complete, or
    may not be read."""
    with _explain_unreadable(folder):
        return _load_config(folder)


def _load_config(folder: Path) -> Config:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder")
    hint = f"; did you mean {folder / 'model'}?" if (folder / "model").is_dir() else ""
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing: the model folder is not complete{hint}")
    read_manifest(folder).check(folder, [_CONFIG])
    try:
        values = tomllib.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / _CONFIG}: cannot be read as TOML: {error}") from None
    return toml.parse_config(values, str(folder / _CONFIG), needs_files=False)


def load_model(folder: Path, tasks: Sequence[Task] = (), *, locate_data: bool = False) -> Model:
    """Read a model folder onto the CPU, ready to be run. tasks: those that it may have, or any;
    locate_data: give its data sets the paths that they have on this machine.

    Raises UserError for a folder that is not a model folder, that lacks a file or whose files do
    not fit each other or may not be read, and for a model of another task.
    """
    with _explain_unreadable(folder):
        config = _load_config(folder)
        if tasks and config.task not in tasks:
            wanted = " or ".join(repr(task.name) for task in tasks)
            *first, last = (f"seq2seq {command}" for command in config.task.commands)
            raise UserError(
                f"{folder} is a model of task {config.task.name!r}, not {wanted}: it is for "
                f"{', '.join(first)} and {last}"
            )
        manifest = read_manifest(folder)
        manifest.check(folder, manifest.sha256.keys() - {_CARD})
        if locate_data:
            config = config.model_copy(update={"data": find_model_data(folder, config)})
        model = build_model(config, Codec.load(folder, config))
        load_weights(folder / _WEIGHTS, model.network)
    model.network.eval()
    parameters = sum(p.numel() for p in model.network.parameters())
    name = config.task.name
    _log.debug("%s: task %r, format %d, %d parameters", folder, name, manifest.format, parameters)
    return model


def find_model_data(folder: Path, config: Config) -> DataConfig:
    """The data sets that the configuration of a model folder names, with the paths of this machine.

    A model that still lies in the run folder that made it: the paths that the run read. Otherwise,
    and for files that are no longer there, names are looked up from the model folder, then from
    `$SEQ2SEQ_DATA`.
    """
    beside = folder.resolve().parent / _CONFIG
    made_with = None
    try:
        run = toml.parse_config(tomllib.loads(beside.read_text(encoding="utf-8")), str(beside))
        if are_names_of(config.data, run.data):
            made_with = run.data
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, UserError):
        pass  # it is not the configuration of a run
    _log.debug("%s: data sets %s", folder, f"as in {beside}" if made_with else "by their names")
    return find_data(config.data, folder, made_with)


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """All weights as safetensors; tied ones once. Raises OSError where they cannot be written."""
    # On a GPU, cuDNN keeps the weights of a layer in one piece of memory, which safetensors would
    # take for tied ones.
    weights = {name: weight.detach().cpu() for name, weight in network.named_parameters()}
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)  # what the umask allows
    try:
        safetensors.torch.save_file(weights, str(path), metadata={"seq2seq": _WEIGHTS_VERSION})
    except SafetensorError as error:
        raise OSError(errno.EIO, f"cannot be written: {error}", str(path)) from None
    path.chmod(mode)  # safetensors 0.8 leaves a file that its owner alone may read


def load_weights(path: Path, network: torch.nn.Module) -> None:
    """Fill `network`. Raises UserError where the file is broken, is of another version of the
    networks, or holds other shapes; OSError where it cannot be read."""
    with path.open("rb"):  # safetensors says of a file that may not be read that it is missing
        pass
    try:
        with safe_open(str(path), "pt") as file:
            version = (file.metadata() or {}).get("seq2seq", "1")
            if version != _WEIGHTS_VERSION:
                raise UserError(
                    f"{path}: of networks of version {version}, and these are of version "
                    f"{_WEIGHTS_VERSION}, "
                    "which compute something else of the same weights: train anew, or use the "
                    "seq2seq that wrote it"
                )
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _, unknown = network.load_state_dict(weights, strict=False)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: broken, no safetensors file ({error})") from None
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise UserError(f"{path}: does not fit its config.toml: {detail[:200]}") from None
    every = list(network.named_parameters(remove_duplicate=False))  # tied ones: one of their names
    filled = {id(weight) for name, weight in every if name in weights}
    wrong = unknown + [name for name, weight in every if id(weight) not in filled]
    if wrong:
        raise UserError(f"{path}: does not fit its config.toml: {', '.join(wrong)[:200]}")
