"""The tokenizers of source and target, which may share one vocabulary, and the files of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seq2seq.checked_files import TABLE_BYTES, read_bounded
from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES
from seq2seq.errors import UserError
from seq2seq.text.normalization import text_sides
from seq2seq.text.tokenizer import Tokenizer

TOKENIZER_FILES = ("tokenizer.model", *(f"tokenizer.{side}.model" for side in SIDES))


def load_tokenizers(folder: Path, config: Config) -> tuple[Tokenizer, Tokenizer]:
    """Load the tokenizers of source and target from a model folder.

    Raises UserError for a missing or damaged file.
    """
    joint, *separate = TOKENIZER_FILES
    names = {joint: text_sides(config)[0]}
    if not config.tokenizer.joint:
        names = dict(zip(separate, SIDES, strict=True))
    tokenizers = []
    for path, side in ((folder / name, side) for name, side in names.items()):
        content, settings = read_model_file(path), config.tokenizer.of(side)
        try:
            one = Tokenizer(content, lowercase=settings.lowercase, kind=settings.kind)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        tokenizers.append(one)
    return for_both_sides(tokenizers, config)


def for_both_sides(tokenizers: Sequence[Tokenizer], config: Config) -> tuple[Tokenizer, Tokenizer]:
    """Return the tokenizers of source and target, with the normalisation and case of each side.

    A side without text gets the tokenizer of the other side.

    tokenizers: The one tokenizer of a joint vocabulary, or the tokenizers of source and target.
    """
    settings, sides = config.tokenizer, text_sides(config)
    chosen = [side if side in sides else sides[0] for side in SIDES]
    source, target = (
        tokenizer.with_rules(settings.normalization_of(side), lowercase=settings.of(side).lowercase)
        for tokenizer, side in zip((tokenizers[0], tokenizers[-1]), chosen, strict=True)
    )
    if tokenizers[0] is tokenizers[-1] and source == target:
        return source, source
    return source, target


def read_model_file(path: Path) -> bytes:
    """Return the content of a file of a model folder. Raises UserError if it is unreadable."""
    try:
        return read_bounded(path, TABLE_BYTES)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: the model folder is not complete; copy the folder again"
        ) from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror or error}; check the permissions of the file"
        ) from None
