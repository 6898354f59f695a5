"""A model folder: complete, and can be moved.

    config.toml  tokenizer.model  model.safetensors  README.md (the model card)

Opening one runs nobody's code: text, a SentencePiece model and safetensors.
"""

from __future__ import annotations

import errno
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from seq2seq import config_file
from seq2seq.config import Config, Shape
from seq2seq.errors import UserError
from seq2seq.files import whole_folder
from seq2seq.models.classifier import Classifier
from seq2seq.models.language_model import LanguageModel
from seq2seq.models.network import Network
from seq2seq.models.tagger import Tagger
from seq2seq.models.translation import Translation
from seq2seq.text.tokenizers import Tokenizers

# The commands that serve each shape.
_VERBS: dict[Shape, tuple[str, ...]] = {
    "translation": ("translate", "score", "evaluate"),
    "language-model": ("perplexity", "generate", "evaluate"),
    "classification": ("classify", "evaluate"),
    "tagging": ("tag", "evaluate"),
    "generation": ("generate", "evaluate"),
}

# Of the weights: another number where networks compute something else of the same weights.
_FORMAT = "3"

_CONFIG, _WEIGHTS, _CARD = "config.toml", "model.safetensors", "README.md"


@dataclass(frozen=True)
class Model:
    """A network with the configuration that shaped it and the tokenizers that feed it."""

    config: Config
    tokenizers: Tokenizers
    network: Network


def build(config: Config, tokenizers: Tokenizers) -> Model:
    """A network with fresh weights from torch's generator."""
    source, target = tokenizers.source, tokenizers.target
    network: Network
    match config.shape:
        case "translation":
            network = Translation(config, len(source), len(target), target.pad)
        case "generation":
            given = tokenizers.require_labels()
            network = Translation(config, len(given), len(target), target.pad)
        case "classification":
            labels = len(tokenizers.require_labels())
            network = Classifier(config, len(source), labels, source.pad)
        case "tagging":
            labels = len(tokenizers.require_labels())
            network = Tagger(config, len(source), labels, source.pad, source.eos)
        case "language-model":
            network = LanguageModel(config, len(target), target.pad)
    return Model(config, tokenizers, network)


def save(folder: Path, model: Model, card: str) -> None:
    """Write the folder whole; one that has the name already is replaced."""
    with whole_folder(folder) as aside:
        (aside / _CONFIG).write_text(config_file.dumps(model.config), encoding="utf-8")
        model.tokenizers.save(aside)
        save_weights(aside / _WEIGHTS, model.network)
        (aside / _CARD).write_text(card, encoding="utf-8")


def load_config(folder: Path) -> Config:
    """The configuration in a model folder. Raises UserError where the folder is not complete."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such model folder")
    for name in (_CONFIG, _WEIGHTS):
        if not (folder / name).is_file():
            hint = f"; did you mean {folder / 'model'}?" if (folder / "model").is_dir() else ""
            raise UserError(f"{folder / name} is missing: the model folder is not complete{hint}")
    try:
        values = tomllib.loads((folder / _CONFIG).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{folder / _CONFIG}: cannot be read as TOML: {error}") from None
    return config_file.parse(values, where=str(folder / _CONFIG))


def load(folder: Path, shape: Shape | None = None) -> Model:
    """Read a model folder onto the CPU, ready to be run.

    Raises UserError for a folder that is none, or that lacks a piece, or whose pieces do not fit,
    and for a model of another shape than is asked for.
    """
    config = load_config(folder)
    if shape is not None and config.shape != shape:
        raise UserError(
            f"{folder} is a model of shape {config.shape!r}, not {shape!r}: it is for "
            + ", ".join(f"seq2seq {verb}" for verb in _VERBS[config.shape][:-1])
            + f" and seq2seq {_VERBS[config.shape][-1]}"
        )
    model = build(config, Tokenizers.load(folder, config))
    load_weights(folder / _WEIGHTS, model.network)
    model.network.eval()
    return model


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """All weights as safetensors; tied ones once. Raises OSError where they cannot be written."""
    # On a GPU, cuDNN keeps the weights of a layer in one piece of memory, which safetensors would
    # take for tied ones.
    weights = {name: weight.detach().cpu() for name, weight in network.named_parameters()}
    try:
        safetensors.torch.save_file(weights, str(path), metadata={"seq2seq": _FORMAT})
    except SafetensorError as error:
        raise OSError(errno.EIO, f"cannot be written: {error}", str(path)) from None


def load_weights(path: Path, network: torch.nn.Module) -> None:
    """Fill `network`. Raises UserError where the file is broken, is of another version of the
    networks, or holds other shapes."""
    try:
        with safe_open(str(path), "pt") as file:
            found = (file.metadata() or {}).get("seq2seq", "1")
            if found != _FORMAT:
                raise UserError(
                    f"{path}: of networks of version {found}, and these are of version {_FORMAT}, "
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
