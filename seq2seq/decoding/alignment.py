"""What a decoder looked at: soft alignments between pieces, hard ones between words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AlignmentSide:
    """One side of an alignment: its pieces as the vocabulary writes them, `</s>` too, and for each
    the number of the whitespace word that it belongs to, from 0; None for `</s>`."""

    pieces: list[str]
    words: Sequence[int | None]

    def with_end(self, end: list[str]) -> AlignmentSide:
        """With `end`, pieces that belong to no word, behind the others."""
        return AlignmentSide([*self.pieces, *end], [*self.words, *[None for _ in end]])


@dataclass(frozen=True)
class Alignment:
    """A translation's attention.

    weights [T, S] float32: row t is what the step that wrote target piece t looked at; it sums to
    one. Of a line that was translated in parts, the parts stand behind one another, and no piece
    looks outside its own.
    """

    source: AlignmentSide
    target: AlignmentSide
    weights: np.ndarray

    def hard(self) -> list[tuple[int, int]]:
        """(source word, target word) for each target word, in their order.

        A target word's weights are the mean over its pieces, a source word's the sum over its
        pieces; the heaviest source word is taken, of equals the first.
        """
        sources = [word for word in self.source.words if word is not None]
        pairs = []
        for target in sorted({word for word in self.target.words if word is not None}):
            rows = [row for row, word in enumerate(self.target.words) if word == target]
            mass = np.zeros(max(sources, default=-1) + 1)
            for weight, word in zip(
                self.weights[rows].mean(axis=0), self.source.words, strict=True
            ):
                if word is not None:
                    mass[word] += weight
            if len(mass):
                pairs.append((int(mass.argmax()), target))
        return pairs

    def pharaoh(self) -> str:
        """The hard alignment as `i-j i-j`: source word i, target word j."""
        return " ".join(f"{source}-{target}" for source, target in self.hard())


EMPTY_ALIGNMENT = Alignment(
    AlignmentSide([], []), AlignmentSide([], []), np.zeros((0, 0), np.float32)
)


def join_alignments(parts: Sequence[Alignment]) -> Alignment:
    """Parts of one line behind one another. Their words count through the whole line already."""
    if not parts:
        return EMPTY_ALIGNMENT
    rows, columns = np.cumsum([[0, 0], *(part.weights.shape for part in parts)], axis=0).T
    weights = np.zeros((rows[-1], columns[-1]), np.float32)
    for number, part in enumerate(parts):
        top, left = rows[number], columns[number]
        weights[top : rows[number + 1], left : columns[number + 1]] = part.weights
    return Alignment(
        _joined([part.source for part in parts]), _joined([part.target for part in parts]), weights
    )


def _joined(sides: Sequence[AlignmentSide]) -> AlignmentSide:
    return AlignmentSide(
        [piece for side in sides for piece in side.pieces],
        [word for side in sides for word in side.words],
    )
