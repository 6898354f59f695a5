"""Phrases in a text, and the tokens that would complete a forbidden phrase."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from seq2seq.decoding.constraint_options import ConstraintOptions

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


def until_stop(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """Yield the pieces of a text up to the first stop string in it.

    The end of a text that may be the start of a stop string is held back until more text follows.
    """
    waiting = ""
    for piece in pieces:
        waiting += piece
        ends = [end for stop in stops if (end := waiting.find(stop)) >= 0]
        if ends:
            yield waiting[: min(ends)]
            return
        sizes = (n for stop in stops for n in range(1, len(stop)) if waiting.endswith(stop[:n]))
        end = len(waiting) - max(sizes, default=0)
        yield waiting[:end]
        waiting = waiting[end:]
    yield waiting


class ForbiddenPhrases:
    """Finds the tokens that would complete a forbidden phrase.

    A phrase is compared with the text, so it is found in every segmentation. It is complete as soon
    as the text after a token contains it as whole words. A longer word that would be written as
    "cat" and "tle" is therefore forbidden together with "cat".
    """

    def __init__(
        self,
        phrases: Sequence[str],
        tokenizer: Spelling,
        special: Sequence[int],
        *,
        whole_words: bool,
    ) -> None:
        """Prepare the phrases for a vocabulary.

        special: the tokens without text.
        """
        self._surfaces = surfaces(tokenizer, special)
        self._phrases = []
        for phrase in phrases:
            (ids,) = tokenizer.encode([phrase])
            self._phrases.append("".join(self._surfaces[i] for i in ids).strip())
        self._search = re.compile("|".join(_pattern(p, whole_words) for p in self._phrases)).search
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
            added = enumerate(self._surfaces)
            tokens = [i for i, text in added if text and self._search(state + text)]
            self._banned[state] = np.array(tokens, np.int64)
        return self._banned[state]


def _character_class(character: str) -> str:
    """Return one character that stands for all characters that matter alike to a word boundary."""
    if not character:
        return ""
    return "x" if re.match(r"\w", character) else " "


def _pattern(phrase: str, whole_words: bool) -> str:
    """Return a regular expression for a phrase. whole_words: it is no part of a longer word."""
    expression = re.escape(phrase)
    if whole_words and re.match(r"\w", phrase):
        expression = rf"(?<!\w){expression}"
    if whole_words and re.match(r"\w", phrase[-1:]):
        expression += r"(?!\w)"
    return expression


def contradictions(options: ConstraintOptions, *, whole_words: bool) -> list[str]:
    """Return a message for each text that must be written although it holds a text that must not.

    whole_words: whether phrases match whole words only.
    """
    given = [("target prefix", options.target_prefix)]
    given += [("required phrase", phrase) for phrase in options.require]
    forbidden = [
        f"the {what} {text!r} contains the forbidden phrase {phrase!r}"
        for what, text in given
        for phrase in options.forbid
        if contains_phrase(text, phrase, whole_words=whole_words)
    ]
    stopping = [
        f"the {what} {text!r} contains the stop string {stop!r}"
        for what, text in given
        for stop in options.stop
        if stop in text
    ]
    return forbidden + stopping
