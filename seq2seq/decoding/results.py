"""The results of a translator: the translations of each line, and notes for the user."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from seq2seq.decoding.alignment import Alignment

_log = logging.getLogger(__name__)

NoteKind = Literal["split", "no tokens", "sentences", "cut", "constraint"]


@dataclass(frozen=True)
class Note:
    """A note for the user about one input line.

    line: the number of the line in the input, counted from 1.
    kind: "split" if the line was too long and was translated in parts; "no tokens" if the tokenizer
    found no tokens in the line; "sentences" if the line looks like several sentences, unlike the
    training text; "cut" if the best translation was cut at the maximum length; "constraint" if the
    best translation does not meet a constraint of the search, or has lost or repeated a mark.
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
    score: log_probability / length^penalty. With minimum Bayes risk, the expected utility.
    alignment: the attention weights. None unless alignments were requested and this is the best
    translation.

    If the line was split, `log_probability` and `score` are sums over the parts.
    """

    text: str
    log_probability: float
    score: float
    alignment: Alignment | None = None


@dataclass(frozen=True)
class LineResult:
    """The result for one input line: the translations, best first, and notes for the user."""

    translations: list[Translation]
    notes: list[Note] = field(default_factory=list)

    @property
    def best(self) -> Translation:
        """Return the best translation, which is the first one."""
        return self.translations[0]
