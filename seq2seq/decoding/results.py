"""What a translator returns: for each line its translations, and notes on what was changed."""

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
    """line: its number in the input, from 1. kind: "split", the line was translated in parts;
    "no tokens", the tokenizer keeps no token of it. text: one sentence for a reader."""

    line: int
    kind: NoteKind
    text: str


def log_notes(notes: Iterable[Note]) -> None:
    """Log the text of each note as a warning."""
    for note in notes:
        _log.warning("%s", note.text)


@dataclass(frozen=True)
class Translation:
    """One translation. log_probability: Σ log p in nats, EOS counted where it was written; score:
    that over length^penalty. Of a line that was split, the sums over its parts. alignment: of the
    best of a line, where it was asked for."""

    text: str
    log_probability: float
    score: float
    alignment: Alignment | None = None


@dataclass(frozen=True)
class LineResult:
    """What became of one line: its translations, best first, and notes on what was changed."""

    translations: list[Translation]
    notes: list[Note] = field(default_factory=list)

    @property
    def best(self) -> Translation:
        """The first translation."""
        return self.translations[0]
