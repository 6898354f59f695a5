"""Split text into words or characters, for vocabularies of kind "word" and "char".

SentencePiece itself would merge a series of unknown words or characters into one <unk>.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate

from seq2seq.text.normalization import symbol_pattern

SPACE = "▁"  # how SentencePiece writes a space


class UnitSplitter:
    """A splitter of text into words or characters that never splits `tokenizer.symbols`."""

    def __init__(
        self,
        pieces: Sequence[str],
        symbols: Sequence[str],
        normalize: Callable[[str], str],
        *,
        words: bool,
    ) -> None:
        """Create a splitter.

        pieces: All entries of the vocabulary, by id. The first four are special tokens.
        symbols: The strings of `tokenizer.symbols`, which are never split.
        normalize: The function with which SentencePiece normalises text and writes spaces as "▁".
        words: Split into words instead of characters.
        """
        if words:
            pieces = [piece.removeprefix(SPACE) for piece in pieces]
        self.ids = {piece: i for i, piece in enumerate(pieces) if i > 3}
        self._normalize, self._words = normalize, words
        self._symbols = symbol_pattern(symbols)

    def split(self, text: str) -> list[str]:
        """Return the words or characters of a text. An empty string stands for an extra space."""
        if self._symbols is None:
            normalized = self._normalize(text)
            return self._kept(normalized.split(SPACE)[1:]) if self._words else list(normalized)
        if not self._words:
            # SentencePiece does not normalise the strings of `tokenizer.symbols`.
            parts = self._symbols.split(self._normalize(text))
            return [unit for i, part in enumerate(parts) for unit in ([part] if i % 2 else part)]
        units: list[str] = []
        parts = self._symbols.split(text)
        for i, part in enumerate(parts):
            if i % 2:
                units.append(part)
                continue
            # One space before or after a symbol separates it from its neighbour.
            part = part.removeprefix(" ") if i else part
            part = part.removesuffix(" ") if i + 1 < len(parts) else part
            units += self._kept(self._normalize(part).split(SPACE)[1:])
        return units

    def word_numbers(self, units: Sequence[str]) -> list[int]:
        """Return, for each unit (word or character) of a line, the index of its word, from 0."""
        begins = [self._words or unit == SPACE for unit in units]
        return [number - 1 for number in accumulate(begins)]

    def _kept(self, words: list[str]) -> list[str]:
        """Return the words, without empty words if the vocabulary has no token for a space."""
        return words if "" in self.ids else [word for word in words if word]


def words_between(text: str, symbols: Sequence[str]) -> str:
    """Return a text without `tokenizer.symbols`, from which the vocabulary of words is learned."""
    pattern = symbol_pattern(symbols)
    return re.sub(f" ?{pattern.pattern} ?", " ", text).strip(" ") if pattern else text


def unit_starts(units: Sequence[str], added: int) -> list[int]:
    """Return the position in the text where each word or character (unit) starts.

    added: The number of characters that SentencePiece has put before the text.
    """
    ends = accumulate(map(len, units))
    return [max(0, end - len(unit) - added) for unit, end in zip(units, ends, strict=True)]


def word_indices(text: str, starts: Sequence[int]) -> list[int]:
    """Return the index, from 0, of the word in `text` that each subword belongs to.

    starts: The character position where each subword starts. A subword that starts with whitespace
        belongs to the next word. A subword after the last word belongs to the last word.
    """
    number, numbers, before = -1, [], " "
    for character in text:
        number += before.isspace() and not character.isspace()
        # Whitespace belongs to the next word.
        numbers.append(number + 1 if character.isspace() else number)
        before = character
    last = max(number, 0)
    return [min(numbers[start], last) if start < len(numbers) else last for start in starts]
