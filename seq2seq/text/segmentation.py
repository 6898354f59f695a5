"""Split text into symbols or grapheme clusters, and join them to text.

seq2seq learns vocabularies of symbols and grapheme clusters itself, because SentencePiece splits
text only at spaces or into single code points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from seq2seq.config.tokenizer_section import TokenizerConfig, TokenKind
from seq2seq.text.normalization import symbol_pattern

_SPACE = "▁"  # how SentencePiece writes a space
UNKNOWN_TEXT = "⁇"  # SentencePiece also decodes <unk> to this


@dataclass(frozen=True)
class Segmentation:
    """How text is split into units, that is, into symbols or into grapheme clusters.

    separator: The string between two symbols. None means grapheme clusters.
    """

    separator: str | None = None

    @property
    def kind(self) -> TokenKind:
        """The kind of tokens (`tokenizer.kind`)."""
        return "char" if self.separator is None else "symbols"

    def split(self, text: str) -> list[str]:
        """Return the symbols or grapheme clusters of a text. Empty symbols are left out."""
        if self.separator is not None:
            return [symbol for symbol in text.split(self.separator) if symbol]
        if text.isascii():
            return list(text)
        import regex  # slow to import, and most vocabularies do not need it

        clusters: list[str] = regex.findall(r"\X", text)
        return clusters

    def piece_of(self, unit: str) -> str:
        """Return how the vocabulary writes a symbol or grapheme cluster.

        A symbol is written with the separator before it.
        """
        return ((self.separator or "") + unit).replace(" ", _SPACE)

    def unit_of(self, piece: str) -> str:
        """Return the symbol or grapheme cluster that an entry of the vocabulary stands for."""
        text = piece.replace(_SPACE, " ")
        return text[len(self.separator or "") :]


def chosen_segmentation(config: TokenizerConfig) -> Segmentation | None:
    """Return how the source or target text is split, or None if SentencePiece splits the text."""
    if config.kind == "symbols":
        return Segmentation(config.separator)
    return Segmentation() if config.kind == "char" and config.unit == "grapheme" else None


class ListedUnits:
    """Splits text into the symbols or grapheme clusters of a vocabulary, and joins them to text."""

    def __init__(
        self, pieces: Sequence[str], symbols: Sequence[str], segmentation: Segmentation
    ) -> None:
        """Create a splitter.

        pieces: All entries of the vocabulary, by id. The first four are special tokens.
        symbols: The strings of `tokenizer.symbols`, which are never split.
        """
        self._segmentation, self._separator = segmentation, segmentation.separator or ""
        self._symbols = symbol_pattern(symbols)
        names = [segmentation.unit_of(piece) for piece in pieces]
        self.ids = {name: i for i, name in enumerate(names) if i > 3}
        unknown = UNKNOWN_TEXT if self._separator else f" {UNKNOWN_TEXT} "
        self._texts = [None, unknown, None, None, *names[4:]]

    def split(self, text: str) -> list[str]:
        """Return the symbols or grapheme clusters of a text."""
        split = self._segmentation.split
        if self._symbols is None or self._separator:
            return split(text)
        parts = self._symbols.split(text)
        return [unit for i, part in enumerate(parts) for unit in ([part] if i % 2 else split(part))]

    def starts(self, text: str) -> list[int]:
        """Return where the symbols or grapheme clusters that `split` returns start in the text."""
        units, at, starts = self.split(text), 0, []
        for unit in units:
            if self._separator:
                while text.startswith(self._separator, at):  # before the unit, or an empty symbol
                    at += len(self._separator)
            starts.append(at)
            at += len(unit)
        return starts

    def join(self, ids: Sequence[int]) -> str:
        """Return the text that ids stand for, without special tokens. <unk> becomes "⁇".

        Raises IndexError for an id that is not in the vocabulary.
        """
        texts = (self._texts[i] for i in ids)
        return self._separator.join(text for text in texts if text is not None)

    def joined_starts(self, ids: Sequence[int]) -> list[int]:
        """Return where the text of each id starts in the text that `join` returns."""
        texts = [self._texts[i] for i in ids]
        width = len(self._separator)
        sizes = (0 if text is None else len(text) + width for text in texts)
        return list(accumulate(sizes, initial=0))[: len(texts)]
