"""Save and load model folders, which contain these files:

    config.toml  tokenizer.model  model.safetensors  README.md (the model card)  manifest.json

A model folder needs no other files, so it can be moved. It holds only text, a SentencePiece model
and weights in the safetensors format, so loading it runs no code from the folder. The manifest
lists a checksum of every file. You may edit the model card, because seq2seq does not read it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from seq2seq.config import toml
from seq2seq.config.data_paths import name_data, name_vocabulary
from seq2seq.config.model_data import find_model_data
from seq2seq.config.schema import Config
from seq2seq.errors import UserError, closed_folder
from seq2seq.files import atomic_folder, write_new
from seq2seq.models.classifier import ClassifierNetwork
from seq2seq.models.language_model import LanguageModelNetwork
from seq2seq.models.manifest import Manifest, read_manifest, write_manifest
from seq2seq.models.network import Network
from seq2seq.models.tagger import TaggerNetwork
from seq2seq.models.translation import TranslationNetwork
from seq2seq.models.weights import check_weights, load_weights, save_weights, shapes_only
from seq2seq.tasks import Task
from seq2seq.text.codec import Codec, codec_files

_log = logging.getLogger(__name__)

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
        ends = target.bos, target.eos
        size = codec.target_size
        network = TranslationNetwork(config, inputs, size, target.pad, features, ends)
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
        write_new(aside / _CONFIG, toml.dump_config(named).encode())
        model.codec.save(aside)
        save_weights(aside / WEIGHTS_FILE, model.network)
        write_new(aside / _CARD, card.encode())
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
    return toml.read_config(folder / _CONFIG)


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
        if locate_data:
            config = config.model_copy(update={"data": find_model_data(folder, config)})
        codec = _load_codec(folder, config, manifest)
        with shapes_only():
            check_weights(folder / WEIGHTS_FILE, build_model(config, codec).network)
        manifest.check(folder, [WEIGHTS_FILE], (folder / WEIGHTS_FILE).stat().st_size)
        model = build_model(config, codec)
        load_weights(folder / WEIGHTS_FILE, model.network)
    if not manifest.has_checksums:
        _log.warning(
            "%s: an older version of seq2seq wrote this model folder without checksums, so damage "
            "to its files cannot be detected",
            folder,
        )
    model.network.eval()
    parameters = sum(p.numel() for p in model.network.parameters())
    name = config.task.name
    _log.debug(
        "%s: model of task %r, format %d, %d parameters", folder, name, manifest.format, parameters
    )
    return model


def load_codec(folder: Path) -> Codec:
    """Return the tokenizers and labels in a model folder. Raises UserError as `load_model` does."""
    with _explain_unreadable(folder):
        return _load_codec(folder, _load_config(folder), read_manifest(folder))


def _load_codec(folder: Path, config: Config, manifest: Manifest) -> Codec:
    """Check all files except the weights and the model card. Read the tokenizers and labels."""
    names = manifest.sha256.keys() | codec_files(folder)
    manifest.check(folder, names - {_CARD, WEIGHTS_FILE})
    return Codec.load(folder, config)
