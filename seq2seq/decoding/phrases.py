"""Find phrases in a text, and find the tokens that would complete a forbidden phrase."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from seq2seq.decoding.constraint_options import ConstraintOptions

_SPACE = "▁"  # SentencePiece writes a space as this character
_BYTE = re.compile("<0x([0-9A-F]{2})>$")


class Spelling(Protocol):
    """The methods of `seq2seq.text.tokenizer.Tokenizer` that the constraints use."""

    def __len__(self) -> int: ...
    def encode(self, lines: Sequence[str]) -> list[list[int]]: ...
    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]: ...
    def pieces(self, ids: Sequence[int]) -> list[str]: ...


def surfaces(tokenizer: Spelling, special: Sequence[int]) -> list[str]:
    """Return the text that each token of the vocabulary adds to a sentence, V strings.

    A byte token becomes a character of the private use area, so that all bytes stay distinct.

    special: the tokens that add no text.
    """
    texts = []
    for piece in tokenizer.pieces(range(len(tokenizer))):
        byte = _BYTE.match(piece)
        texts.append(chr(0xE000 + int(byte[1], 16)) if byte else piece.replace(_SPACE, " "))
    for token in special:
        texts[token] = ""
    return texts


def contains_phrase(text: str, phrase: str, *, whole_words: bool) -> bool:
    """Return whether a text contains a phrase.

    whole_words: whether the phrase must consist of whole words of the text.
    """
    return bool(re.search(_pattern(phrase, whole_words), text))


def phrase_ids(tokenizer: Spelling, phrase: str, *, whole_words: bool) -> list[int]:
    """Return the token ids of a phrase that stands inside a text.

    whole_words: whether the phrase consists of whole words. If not, a first token that is only a
        space is left out.
    """
    (ids,) = tokenizer.encode([phrase])
    if not whole_words and len(ids) > 1 and tokenizer.pieces(ids[:1]) == [_SPACE]:
        return ids[1:]
    return ids


def cut_at_stop(text: str, stops: Sequence[str]) -> str:
    """Cut a text before its first stop string, and strip white space from the new end."""
    ends = [end for stop in stops if (end := text.find(stop)) >= 0]
    return text[: min(ends)].rstrip() if ends else text


def until_stop(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """Yield the pieces of a generated text up to the first stop string in it.

    If the end of the text may be the start of a stop string, it is held back until more text
    follows.
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

    Phrases are compared with the text, so they are found however the text is split into subwords. A
    phrase is complete as soon as the text ends with the last word of the phrase, even if the next
    subword could make this word longer. If "cat" is forbidden, a word that is written as "cat" and
    "tle" is therefore forbidden, too.
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

        special: the tokens that add no text.
        """
        self._surfaces = surfaces(tokenizer, special)
        self._phrases = []
        for phrase in phrases:
            (ids,) = tokenizer.encode([phrase])
            written = "".join(self._surfaces[i] for i in ids).strip()
            if written:  # otherwise, the vocabulary cannot write the phrase
                self._phrases.append(written)
        expressions = [_pattern(phrase, whole_words) for phrase in self._phrases]
        self._search = re.compile("|".join(expressions) or "(?!)").search
        self._longest = max(map(len, self._phrases), default=0)
        self._banned: dict[str, np.ndarray] = {}

    def advance(self, state: str, token: int) -> str:
        """Return the state of a text after one more token. The state of an empty text is "".

        The state is the end of the text, as far as a forbidden phrase may begin in it.
        """
        text = state + self._surfaces[token]
        for size in range(min(self._longest, len(text)), 0, -1):
            if any(phrase.startswith(text[-size:]) for phrase in self._phrases):
                before = text[-size - 1 : -size]
                return _character_class(before) + text[-size:]
        return _character_class(text[-1:])

    def banned(self, state: str) -> np.ndarray:
        """Return the tokens that would complete a forbidden phrase, [n] int64.

        state: the state of the text so far, from `advance`.
        """
        if state not in self._banned:
            added = enumerate(self._surfaces)
            tokens = [i for i, text in added if text and self._search(state + text)]
            self._banned[state] = np.array(tokens, np.int64)
        return self._banned[state]


def _character_class(character: str) -> str:
    """Return "x" for a letter, digit or underscore, " " for any other character, and "" for "".

    Word boundaries depend only on this distinction.
    """
    if not character:
        return ""
    return "x" if re.match(r"\w", character) else " "


def _pattern(phrase: str, whole_words: bool) -> str:
    """Return a regular expression that finds a phrase.

    whole_words: whether it finds only whole words.
    """
    expression = re.escape(phrase)
    if whole_words and re.match(r"\w", phrase):
        expression = rf"(?<!\w){expression}"
    if whole_words and re.match(r"\w", phrase[-1:]):
        expression += r"(?!\w)"
    return expression


def contradictions(options: ConstraintOptions, *, whole_words: bool) -> list[str]:
    """Return one message for each prefix or required phrase that contains a forbidden text.

    A stop string counts as a forbidden text.

    whole_words: whether forbidden phrases match whole words only.
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
