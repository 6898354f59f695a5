"""Opens any model folder: the object that fits the model's task."""

from __future__ import annotations

from pathlib import Path

from seq2seq.decoding.classifier import Classifier
from seq2seq.decoding.generator import Generator
from seq2seq.decoding.language_model import LanguageModel
from seq2seq.decoding.tagger import Tagger
from seq2seq.decoding.translator import Translator
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export, load_export_config

AnyModel = Translator | LanguageModel | Classifier | Tagger | Generator


def load(
    *folders: str | Path, device: str = "auto", precision: str = "fp32", batch_size: int = 64
) -> AnyModel:
    """Open a model folder, or several translators with one vocabulary as an ensemble.

    Returns the object that fits the task of the model: `Translator` for translation and aligned,
    `LanguageModel`, `Classifier`, `Tagger` or `Generator`. Where the type has to be known, call the
    `load` of that class, which refuses models of another task.

    device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1". precision: "fp32", "bf16" or
    "auto". batch_size: lines that are worked on together; a language model has no use for it.

    Raises UserError for a folder that is not a complete model folder, for an ensemble of models
    that do not fit each other, and for a device or a precision that is not there.
    """
    if not folders:
        raise TypeError("load() needs a model folder")
    task = load_any_config(Path(folders[0])).task
    if task in LanguageModel.tasks:
        return LanguageModel.load(_only(folders), device=device, precision=precision)
    kinds = (Classifier, Tagger, Generator)
    kind = next((kind for kind in kinds if task in kind.tasks), None)
    if kind is not None:
        return kind.load(_only(folders), device=device, precision=precision, batch_size=batch_size)
    return Translator.load(*folders, device=device, precision=precision, batch_size=batch_size)


def load_any_config(folder: Path) -> Config:
    """Read the configuration of a model folder or an export. Raises UserError if the folder is
    neither."""
    if is_export(folder):
        return load_export_config(folder)
    from seq2seq.models.folder import load_model_config

    return load_model_config(folder)


def _only(folders: tuple[str | Path, ...]) -> str | Path:
    if len(folders) > 1:
        raise UserError("an ensemble is for translators: name one model")
    return folders[0]
