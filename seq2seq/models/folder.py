"""A model folder: complete, and can be moved.

    config.toml  tokenizer.model  model.safetensors  README.md (the model card)  manifest.json

Opening one runs nobody's code: text, a SentencePiece model and safetensors, each as the manifest
lists it. (The card may be changed: nothing reads it.)
"""

from __future__ import annotations

import errno
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from seq2seq.config import toml
from seq2seq.config.schema import Config
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
    """Write the folder whole; one that has the name already is replaced."""
    with atomic_folder(folder) as aside:
        (aside / _CONFIG).write_text(toml.dump_config(model.config), encoding="utf-8")
        model.codec.save(aside)
        save_weights(aside / _WEIGHTS, model.network)
        (aside / _CARD).write_text(card, encoding="utf-8")
        write_manifest(aside)


def load_model_config(folder: Path) -> Config:
    """The configuration in a model folder. Raises UserError where the folder is not complete."""
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


def load_model(folder: Path, tasks: Sequence[Task] = ()) -> Model:
    """Read a model folder onto the CPU, ready to be run. tasks: those that it may have, or any.

    Raises UserError for a folder that is not a model folder, that lacks a file or whose files do
    not fit each other, and for a model of another task.
    """
    config = load_model_config(folder)
    if tasks and config.task not in tasks:
        wanted = " or ".join(repr(task.name) for task in tasks)
        *first, last = (f"seq2seq {command}" for command in config.task.commands)
        raise UserError(
            f"{folder} is a model of task {config.task.name!r}, not {wanted}: it is for "
            f"{', '.join(first)} and {last}"
        )
    manifest = read_manifest(folder)
    manifest.check(folder, manifest.sha256.keys() - {_CARD})
    model = build_model(config, Codec.load(folder, config))
    load_weights(folder / _WEIGHTS, model.network)
    model.network.eval()
    return model


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """All weights as safetensors; tied ones once. Raises OSError where they cannot be written."""
    # On a GPU, cuDNN keeps the weights of a layer in one piece of memory, which safetensors would
    # take for tied ones.
    weights = {name: weight.detach().cpu() for name, weight in network.named_parameters()}
    try:
        safetensors.torch.save_file(weights, str(path), metadata={"seq2seq": _WEIGHTS_VERSION})
    except SafetensorError as error:
        raise OSError(errno.EIO, f"cannot be written: {error}", str(path)) from None


def load_weights(path: Path, network: torch.nn.Module) -> None:
    """Fill `network`. Raises UserError where the file is broken, is of another version of the
    networks, or holds other shapes."""
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
