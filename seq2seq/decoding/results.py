"""The results of a translator: the translations of each line, and notes on changed lines."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from seq2seq.decoding.alignment import Alignment

_log = logging.getLogger(__name__)

NoteKind = Literal["split", "no tokens"]


@dataclass(frozen=True)
class Note:
    """A note for the user that one input line was split or had no tokens.

    line: the number of the line in the input, counted from 1.
    kind: "split" if the line was too long and was translated in parts; "no tokens" if the tokenizer
    found no tokens in the line.
    text: the message for the user.
    """

    line: int
    kind: NoteKind
    text: str


def log_notes(notes: Iterable[Note]) -> None:
    """Log the text of each note as a warning."""
    for note in notes:
        _log.warning("%s", note.text)


@dataclass(frozen=True)
class Translation:
    """One translation of a line.

    log_probability: Σ log p in nats, including EOS if the translation ended by EOS.
    score: log_probability / length^penalty, or the expected utility with minimum Bayes risk.
    alignment: the attention weights, if they were requested and this is the best translation.

    If the line was split, log_probability and score are sums over the parts.
    """

    text: str
    log_probability: float
    score: float
    alignment: Alignment | None = None


@dataclass(frozen=True)
class LineResult:
    """The result of one input line: its translations, best first, and notes on changes."""

    translations: list[Translation]
    notes: list[Note] = field(default_factory=list)

    @property
    def best(self) -> Translation:
        """Return the first translation, which is the best one."""
        return self.translations[0]
