"""Open a model folder of any task."""

from __future__ import annotations

from pathlib import Path

from seq2seq.config.schema import Config
from seq2seq.decoding.classifier import Classifier
from seq2seq.decoding.generator import Generator
from seq2seq.decoding.language_model import LanguageModel
from seq2seq.decoding.tagger import Tagger
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export, load_export, load_export_config
from seq2seq.text.codec import Codec

AnyModel = Translator | LanguageModel | Classifier | Tagger | Generator


def load(
    *folders: str | Path, device: str = "auto", precision: str = "fp32", batch_size: int = 64
) -> AnyModel:
    """Open a model folder, or several model folders of translators as an ensemble.

    The translators of an ensemble must share one vocabulary.

    Returns an object whose class depends on the task of the model: `Translator` (for the tasks
    "translation" and "aligned"), `LanguageModel`, `Classifier`, `Tagger` or `Generator`. If your
    code needs a certain class, call the method `load` of this class instead, such as
    `Translator.load`. That method raises UserError for models of other tasks.

    device: "auto" (a GPU if available, otherwise the CPU), "cpu", "cuda" or "cuda:1".
    precision: "fp32", "bf16" or "auto".
    batch_size: the largest number of lines in a batch. A language model ignores this argument.

    Raises TypeError without a folder. Raises UserError if a folder is not a complete model folder,
    if the models cannot form an ensemble, or if the device or the precision is not available.
    """
    if not folders:
        raise TypeError("load() needs at least one model folder: pass its path")
    task = load_any_config(Path(folders[0])).task
    kinds = (LanguageModel, Classifier, Tagger, Generator)
    kind = next((kind for kind in kinds if task in kind.tasks), None)
    if kind is not None:
        return kind.load(_only(folders), device=device, precision=precision, batch_size=batch_size)
    return Translator.load(*folders, device=device, precision=precision, batch_size=batch_size)


def load_any_config(folder: Path) -> Config:
    """Read the configuration of a model folder or an export.

    Raises UserError if the folder is neither of them.
    """
    if is_export(folder):
        return load_export_config(folder)
    from seq2seq.models.folder import load_model_config

    return load_model_config(folder)


def load_any_codec(folder: Path) -> Codec:
    """Read the tokenizers and labels of a model folder or an export.

    Raises UserError if a file is missing or damaged.
    """
    if is_export(folder):
        return load_export(folder).codec
    from seq2seq.models.folder import load_codec

    return load_codec(folder)


def _only(folders: tuple[str | Path, ...]) -> str | Path:
    if len(folders) > 1:
        raise UserError("only translators can form an ensemble: give a single model folder")
    return folders[0]
