"""Save and load model folders, which contain these files:

    config.toml  tokenizer.model  model.safetensors  README.md (the model card)  manifest.json

A model folder needs no other files, so it can be moved. It holds only text, a SentencePiece model
and weights in the safetensors format, so loading it runs no code from the folder. The manifest
lists a checksum of every file. You may edit the model card, because seq2seq does not read it.
"""

from __future__ import annotations

import errno
import json
import logging
import os
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
from seq2seq.config.data_paths import are_names_of, find_data, name_data, name_vocabulary
from seq2seq.config.data_section import DataConfig
from seq2seq.config.schema import Config
from seq2seq.errors import UserError, closed_folder
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

# Increase this number when the networks compute different results from the same weights.
_WEIGHTS_VERSION = "3"

WEIGHTS_FILE = "model.safetensors"
_CONFIG, _CARD = "config.toml", "README.md"


@dataclass(frozen=True)
class Model:
    """A network, its configuration, and the codec that converts text to ids and back."""

    config: Config
    codec: Codec
    network: Network


def build_model(config: Config, codec: Codec) -> Model:
    """Return a model with new weights, sampled from PyTorch's global random number generator."""
    source, target, task = codec.source, codec.target, config.task
    network: Network
    if not task.has_source:
        network = LanguageModelNetwork(config, len(target), target.pad)
    elif task.has_target_text:
        conditions = task.source == "condition"
        inputs = len(codec.require_labels()) if conditions else len(source)
        features = len(codec.features or ())
        network = TranslationNetwork(config, inputs, len(target), target.pad, features)
    elif task.labels_each_word:
        labels = len(codec.require_labels())
        network = TaggerNetwork(config, len(source), labels, source.pad, source.eos)
    else:
        labels = len(codec.require_labels())
        network = ClassifierNetwork(config, len(source), labels, source.pad)
    return Model(config, codec, network)


def save_model(folder: Path, model: Model, card: str) -> None:
    """Write a model folder. An existing folder with this name is replaced in one step.

    The saved configuration contains no absolute paths to the data sets, see `find_model_data`.
    card: The Markdown text of the model card.
    Raises OSError if a file cannot be written.
    """
    config = model.config
    names = {"data": name_data(config.data), "tokenizer": name_vocabulary(config.tokenizer)}
    named = config.model_copy(update=names)
    with atomic_folder(folder) as aside:
        (aside / _CONFIG).write_text(toml.dump_config(named), encoding="utf-8")
        model.codec.save(aside)
        save_weights(aside / WEIGHTS_FILE, model.network)
        (aside / _CARD).write_text(card, encoding="utf-8")
        write_manifest(aside)


@contextmanager
def _explain_unreadable(folder: Path) -> Iterator[None]:
    """Turn any OSError in the `with` block into a UserError that names the unreadable file."""
    try:
        yield
    except OSError as error:
        if not os.access(folder, os.X_OK, effective_ids=True):
            raise closed_folder(folder, error) from None
        raise UserError(
            f"{error.filename or folder}: cannot be read ({error.strerror or error}); ask the "
            "owner of the file for read permission, or copy the model folder again"
        ) from None


def load_model_config(folder: Path) -> Config:
    """Return the configuration in a model folder.

    Raises UserError if the folder is not complete or cannot be read.
    """
    with _explain_unreadable(folder):
        return _load_config(folder)


def _load_config(folder: Path) -> Config:
    """Do the work of `load_model_config`, but raise OSError for an unreadable file."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder; check the path")
    inner = folder / "model"
    hint = f"did you mean {inner}?" if inner.is_dir() else "copy the folder again"
    for name in (_CONFIG, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing: the model folder is not complete; {hint}")
    read_manifest(folder).check(folder, [_CONFIG])
    try:
        values = tomllib.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{folder / _CONFIG}: cannot be read as TOML: {error}; fix the file"
        ) from None
    return toml.parse_config(values, str(folder / _CONFIG), needs_files=False)


def load_model(folder: Path, tasks: Sequence[Task] = (), *, locate_data: bool = False) -> Model:
    """Load a model folder onto the CPU, in evaluation mode.

    Args:
        folder: The model folder.
        tasks: The accepted tasks of the model. If empty, every task is accepted.
        locate_data: Replace the data sets' names in the configuration by paths on this machine.

    Raises UserError if a file is missing, unreadable, damaged or does not match the other files, or
    if the task of the model is not accepted.
    """
    with _explain_unreadable(folder):
        config = _load_config(folder)
        if tasks and config.task not in tasks:
            wanted = " or ".join(repr(task.name) for task in tasks)
            *first, last = (f"seq2seq {command}" for command in config.task.commands)
            raise UserError(
                f"{folder} is a model of task {config.task.name!r}, not {wanted}: use this model "
                f"with {', '.join(first)} and {last}"
            )
        manifest = read_manifest(folder)
        manifest.check(folder, manifest.sha256.keys() - {_CARD})
        if locate_data:
            config = config.model_copy(update={"data": find_model_data(folder, config)})
        model = build_model(config, Codec.load(folder, config))
        load_weights(folder / WEIGHTS_FILE, model.network)
    model.network.eval()
    parameters = sum(p.numel() for p in model.network.parameters())
    name = config.task.name
    _log.debug(
        "%s: model of task %r, format %d, %d parameters", folder, name, manifest.format, parameters
    )
    return model


def find_model_data(folder: Path, config: Config) -> DataConfig:
    """Return the data sets of a model's configuration, with their paths on this machine.

    If the model folder is still inside the run folder of its training, use the paths that the
    training read. If the model folder was moved, or a file no longer exists at its path, search for
    the file's name in the model folder and then in the folder `$SEQ2SEQ_DATA`.
    """
    beside = folder.resolve().parent / _CONFIG
    made_with = None
    try:
        run = toml.parse_config(tomllib.loads(beside.read_text(encoding="utf-8")), str(beside))
        if are_names_of(config.data, run.data):
            made_with = run.data
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, UserError):
        pass  # the model folder is not in a run folder
    source = f"the paths in {beside}" if made_with else "their names"
    _log.debug("%s: finding the data sets by %s", folder, source)
    return find_data(config.data, folder, made_with)


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """Write all weights of a network as safetensors. Tied weights are written once.

    Raises OSError if the file cannot be written.
    """
    # On a GPU, the weights of a cuDNN layer share one block of memory. safetensors would mistake
    # them for tied weights, so copy them to the CPU.
    weights = {name: weight.detach().cpu() for name, weight in network.named_parameters()}
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)  # the permissions that the umask allows
    try:
        safetensors.torch.save_file(weights, str(path), metadata={"seq2seq": _WEIGHTS_VERSION})
    except SafetensorError as error:
        raise OSError(errno.EIO, f"cannot be written: {error}", str(path)) from None
    path.chmod(mode)  # safetensors 0.8 makes the file readable by its owner only


def load_weights(path: Path, network: torch.nn.Module) -> None:
    """Load the weights in a safetensors file into a network.

    Raises UserError if the file is damaged, belongs to another version of the networks, or does not
    match the network's weights. Raises OSError if the file cannot be read.
    """
    with path.open("rb"):  # raise the real error: safetensors calls an unreadable file missing
        pass
    try:
        with safe_open(str(path), "pt") as file:
            version = (file.metadata() or {}).get("seq2seq", "1")
            if version != _WEIGHTS_VERSION:
                raise UserError(
                    f"{path}: the weights belong to version {version} of the networks, but this "
                    f"seq2seq has version {_WEIGHTS_VERSION}; train the model again, or use the "
                    "version of seq2seq that saved the model"
                )
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _, unknown = network.load_state_dict(weights, strict=False)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path}: not a valid safetensors file ({error}); copy the folder again"
        ) from None
    except RuntimeError as error:
        detail = " ".join(str(error).split())
        raise UserError(
            f"{path}: the weights do not fit config.toml ({detail[:200]}); copy the folder again"
        ) from None
    # The file holds tied weights under only one of their names.
    every = list(network.named_parameters(remove_duplicate=False))
    filled = {id(weight) for name, weight in every if name in weights}
    wrong = unknown + [name for name, weight in every if id(weight) not in filled]
    if wrong:
        names = ", ".join(wrong)[:200]
        raise UserError(
            f"{path}: the weights do not fit config.toml (missing or unexpected: {names}); "
            "copy the folder again"
        )
