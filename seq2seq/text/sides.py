"""The tokenizers of source and target, which may share one vocabulary, and the files of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.text.normalization import text_sides
from seq2seq.text.tokenizer import Tokenizer


def load_tokenizer(model: bytes, settings: TokenizerConfig) -> Tokenizer:
    """Return the tokenizer that uses a SentencePiece model and the settings of source or target.

    Raises UserError if `model` is not a valid model.
    """
    return Tokenizer(model, lowercase=settings.lowercase, kind=settings.kind)


def for_both_sides(tokenizers: Sequence[Tokenizer], config: Config) -> tuple[Tokenizer, Tokenizer]:
    """Return the tokenizers of source and target, with the normalisation of each side.

    A side without text gets the tokenizer of the other side.

    tokenizers: The one tokenizer of a joint vocabulary, or the tokenizers of source and target.
    """
    settings, sides = config.tokenizer, text_sides(config)
    source, target = (
        tokenizer.with_normalization(settings.normalization_of(side if side in sides else sides[0]))
        for tokenizer, side in ((tokenizers[0], SIDES[0]), (tokenizers[-1], SIDES[1]))
    )
    if tokenizers[0] is tokenizers[-1] and source == target:
        return source, source
    return source, target


def read_model_file(path: Path) -> bytes:
    """Return the content of a file of a model folder. Raises UserError if it is unreadable."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: the model folder is not complete; copy the folder again"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the permissions of the file"
        ) from None
