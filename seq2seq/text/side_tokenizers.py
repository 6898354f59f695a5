"""The tokenizers of source and target, which may share a vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES
from seq2seq.errors import UserError
from seq2seq.text.normalization import text_sides
from seq2seq.text.tokenizer import Tokenizer


def load_tokenizers(
    folder: Path, config: Config, read: Callable[[Path], bytes]
) -> tuple[Tokenizer, Tokenizer]:
    """Load the tokenizers of source and target from a model folder.

    read: The function that reads a file.
    Raises UserError for a missing or damaged file.
    """
    names = {"tokenizer.model": text_sides(config)[0]}
    if not config.tokenizer.joint:
        names = {f"tokenizer.{side}.model": side for side in SIDES}
    tokenizers = []
    for path, side in ((folder / name, side) for name, side in names.items()):
        settings = config.tokenizer.of(side)
        try:
            loaded = Tokenizer(read(path), lowercase=settings.lowercase, kind=settings.kind)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        tokenizers.append(loaded)
    return for_both_sides(tokenizers, config)


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
