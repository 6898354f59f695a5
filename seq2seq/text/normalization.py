"""Normalise text before SentencePiece splits it, and restore the text after decoding.

Source and target have their own normalisation, but a SentencePiece model contains only one. If
source and target share a vocabulary and differ in normalisation, this module normalises their text
instead.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Any

import sentencepiece

from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES, Side
from seq2seq.config.tokenizer_section import Normalization
from seq2seq.text.case_marks import CaseMarker

_SURROGATE = re.compile("[\ud800-\udfff]")
_UNTIDY = re.compile("^ | $|  ")
UNICODE_FORMS = ("nfc", "nfd")  # normalisations that SentencePiece does not have
_COLLAPSING = ("whitespace", "nmt_nfkc")  # the normalisations that leave only single spaces
# The characters that remain after `collapse_spaces`.
_KEPT_AFTER_COLLAPSE = re.compile("[^ ]|(?<=[^ ]) (?= *[^ ])")


def normalize_text(text: str, rule: Normalization) -> str:
    """Return the text, normalised by a rule (a value of `tokenizer.normalization`)."""
    if rule == "identity" or (text.isascii() and text.isprintable() and not _UNTIDY.search(text)):
        return text
    text = _change_characters(text, rule)
    return collapse_spaces(text) if rule in _COLLAPSING else text


def collapse_spaces(text: str) -> str:
    """Replace each series of spaces by one space, and remove the spaces at both ends."""
    return re.sub(" +", " ", text).strip(" ")


def symbol_pattern(symbols: Sequence[str]) -> re.Pattern[str] | None:
    """Return a pattern with one group that matches any of the symbols, or None without symbols."""
    names = "|".join(map(re.escape, sorted(symbols, key=len, reverse=True)))
    return re.compile(f"({names})") if names else None


def _change_characters(text: str, rule: Normalization) -> str:
    """Apply a normalisation to the characters of a text, but do not merge or remove spaces."""
    if rule in UNICODE_FORMS:
        return unicodedata.normalize("NFC" if rule == "nfc" else "NFD", text)
    if rule == "nmt_nfkc":
        normalized: str = _nmt_nfkc().Normalize(text)
        return normalized
    return text


@cache
def _nmt_nfkc() -> Any:
    return sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc")


def replace_surrogates(text: str) -> str:
    """Replace unpaired surrogates, which cannot be written as UTF-8, by U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def text_sides(config: Config) -> list[Side]:
    """Return which of "source" and "target" are text in the task of a configuration."""
    task = config.task
    has_text = {"source": task.source in ("text", "words"), "target": task.has_target_text}
    return [side for side in SIDES if has_text[side]]


def learned_normalization(config: Config, sides: list[Side]) -> Normalization:
    """Return the normalisation to put into a SentencePiece model.

    sides: The sides that share the model: "source", "target" or both.

    If the sides have the same normalisation and SentencePiece supports it, return it. Otherwise
    return "identity"; `TextRules` then normalises the text of each side.
    """
    rules = {config.tokenizer.normalization_of(side) for side in sides}
    if len(rules) > 1 or rules & {*UNICODE_FORMS} or config.tokenizer.case == "marked":
        return "identity"
    return rules.pop()


class TextRules:
    """The rules that change a source or target text before encoding and after decoding.

    lowercase: Convert text to lower case.
    normalization: The normalisation of the text.
    marker: Writes capitals as marks; None for a vocabulary without marks.
    symbols: The strings of `tokenizer.symbols`, which are not changed.
    """

    def __init__(
        self,
        *,
        lowercase: bool = False,
        normalization: Normalization = "identity",
        marker: CaseMarker | None = None,
        symbols: Sequence[str] = (),
    ) -> None:
        self.lowercase, self.normalization, self.marker = lowercase, normalization, marker
        self._symbols = symbol_pattern(symbols)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """A key that is equal for two objects if they convert all text in the same way."""
        return self.lowercase, self.normalization, self.marker is not None

    def prepare(self, text: str) -> str:
        """Return the text in the form in which SentencePiece encodes it."""
        rule = self.normalization
        text = self._outside_symbols(replace_surrogates(text), self._change)
        text = collapse_spaces(text) if rule in _COLLAPSING else text
        return self.marker.mark_case(text)[0] if self.marker else text

    def prepare_with_origins(self, text: str) -> tuple[str, str, list[int]]:
        """Prepare a text for SentencePiece, and record where its characters come from.

        Returns:
            The prepared text.
            An intermediate form of the text, which has the same words as the raw text.
            For each prepared character, the index of its origin in the intermediate form.
        """
        base = self._outside_symbols(replace_surrogates(text), self._lower)
        origins = list(range(len(base)))
        if self.normalization == "nmt_nfkc":
            changed, origins = self._with_offsets(base)
        elif self.normalization in UNICODE_FORMS:
            changed = base = self._outside_symbols(base, self._change)
            origins = list(range(len(base)))
        else:
            changed = base
        if self.normalization in _COLLAPSING:
            kept = [match.start() for match in _KEPT_AFTER_COLLAPSE.finditer(changed)]
            changed, origins = collapse_spaces(changed), [origins[index] for index in kept]
        if self.marker:
            changed, inner = self.marker.mark_case(changed)
            origins = [origins[index] for index in inner]
        return changed, base, origins

    def restore(self, text: str) -> str:
        """Return the final text for a text that SentencePiece decoded."""
        return self.marker.restore_case(text)[0] if self.marker else text

    def _lower(self, text: str) -> str:
        return text.lower() if self.lowercase else text

    def _change(self, text: str) -> str:
        return _change_characters(self._lower(text), self.normalization)

    def _outside_symbols(self, text: str, change: Callable[[str], str]) -> str:
        """Apply a change to the parts of a text that are not symbols."""
        if self._symbols is None:
            return change(text)
        parts = self._symbols.split(text)
        parts[::2] = map(change, parts[::2])
        return "".join(parts)

    def _with_offsets(self, text: str) -> tuple[str, list[int]]:
        """Apply NMT NFKC outside the symbols, which are not changed.

        Return the new text, and for each of its characters the index of the original character.
        """
        pieces: list[str] = []
        origins: list[int] = []
        at = 0
        for number, part in enumerate(self._symbols.split(text) if self._symbols else [text]):
            piece, offsets = part, list(range(len(part)))
            if number % 2 == 0:
                piece, offsets = _nmt_nfkc().Normalize(part, with_offsets=True)
            pieces.append(piece)
            origins += [at + offset for offset in offsets[: len(piece)]]
            at += len(part)
        return "".join(pieces), origins
