"""Phrases in a text, and the tokens that would complete a forbidden phrase."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

_SPACE = "▁"  # SentencePiece writes a space as this character
_BYTE = re.compile("<0x([0-9A-F]{2})>$")


class Spelling(Protocol):
    """The part of a tokenizer that the constraints use (see `seq2seq.text.tokenizer.Tokenizer`)."""

    def __len__(self) -> int: ...
    def encode(self, lines: Sequence[str]) -> list[list[int]]: ...
    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]: ...
    def pieces(self, ids: Sequence[int]) -> list[str]: ...


def surfaces(tokenizer: Spelling, special: Sequence[int]) -> list[str]:
    """Return the text that each token of the vocabulary adds, V strings.

    A byte token becomes a character of the private use area, so that all bytes stay distinct. The
    tokens `special` add nothing.
    """
    texts = []
    for piece in tokenizer.pieces(range(len(tokenizer))):
        byte = _BYTE.match(piece)
        texts.append(chr(0xE000 + int(byte[1], 16)) if byte else piece.replace(_SPACE, " "))
    for token in special:
        texts[token] = ""
    return texts


def contains_phrase(text: str, phrase: str, *, whole_words: bool) -> bool:
    """Return whether a text contains a phrase, as whole words or anywhere."""
    return bool(re.search(_pattern(phrase, whole_words), text))


def phrase_ids(tokenizer: Spelling, phrase: str, *, whole_words: bool) -> list[int]:
    """Return the token ids of a phrase inside a text.

    Without whole words, a leading token for a space alone is left out.
    """
    (ids,) = tokenizer.encode([phrase])
    if not whole_words and len(ids) > 1 and tokenizer.pieces(ids[:1]) == [_SPACE]:
        return ids[1:]
    return ids


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Return a text up to the first stop string in it, without white space at the new end."""
    ends = [end for stop in stops if (end := text.find(stop)) >= 0]
    return text[: min(ends)].rstrip() if ends else text


class ForbiddenPhrases:
    """Finds the tokens that would complete a forbidden phrase.

    A phrase is compared with the text, so it is found in every segmentation. In whole words, a
    phrase is complete when the next token starts with another character than a letter, a digit or
    an underscore, or when the text ends.
    """

    def __init__(
        self,
        phrases: Sequence[str],
        tokenizer: Spelling,
        special: Sequence[int],
        eos: int,
        *,
        whole_words: bool,
    ) -> None:
        """Prepare the phrases for a vocabulary.

        special: the tokens without text. eos: the token that ends a text, one of `special`.
        """
        self._surfaces = surfaces(tokenizer, special)
        self._phrases = []
        for phrase in phrases:
            (ids,) = tokenizer.encode([phrase])
            self._phrases.append("".join(self._surfaces[i] for i in ids).strip())
        # Without tokens that continue a word, a phrase is complete at its last token.
        continues = any(text[:1].isalnum() for text in self._surfaces)
        self._eos = eos
        self._inside = [_pattern(p, whole_words, ahead=continues) for p in self._phrases]
        self._ended = re.compile("|".join(f"{_pattern(p, whole_words)}$" for p in self._phrases))
        self._search = re.compile("|".join(self._inside)).search
        self._longest = max(map(len, self._phrases), default=0)
        self._banned: dict[str, np.ndarray] = {}

    def advance(self, state: str, token: int) -> str:
        """Return the state after one more token. The state of an empty text is ""."""
        text = state + self._surfaces[token]
        for size in range(min(self._longest, len(text)), 0, -1):
            if any(phrase.startswith(text[-size:]) for phrase in self._phrases):
                before = text[-size - 1 : -size]
                return _character_class(before) + text[-size:]
        return _character_class(text[-1:])

    def banned(self, state: str) -> np.ndarray:
        """Return the tokens that would complete a phrase, [n] int64. Cached for each state."""
        if state not in self._banned:
            tokens = [i for i, text in enumerate(self._surfaces) if self._search(state + text)]
            if self._ended.search(state):
                tokens.append(self._eos)
            self._banned[state] = np.array(tokens, np.int64)
        return self._banned[state]


def _character_class(character: str) -> str:
    """Return one character that stands for all characters that matter alike to a word boundary."""
    if not character:
        return ""
    return "x" if re.match(r"\w", character) else " "


def _pattern(phrase: str, whole_words: bool, ahead: bool = False) -> str:
    r"""Return a regular expression for a phrase.

    whole_words: the phrase is no part of a longer word. ahead: the character after the phrase must
    be known, unless the phrase ends with a character outside \w.
    """
    expression = re.escape(phrase)
    if not whole_words:
        return expression
    if re.match(r"\w", phrase):
        expression = rf"(?<!\w){expression}"
    if re.match(r"\w", phrase[-1:]):
        expression += r"(?=\W)" if ahead else r"(?!\w)"
    return expression
