"""Alignments from attention weights: soft between subword pieces, hard between words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AlignmentSide:
    """One side of an alignment: the source or the translation.

    pieces: the subword pieces as the vocabulary spells them, including `</s>`.
    words: for each piece, the number of the whitespace-separated word that contains it, counted
    from 0; None for `</s>`.
    """

    pieces: list[str]
    words: Sequence[int | None]

    def with_end(self, end: list[str]) -> AlignmentSide:
        """Return a copy of this side with the pieces `end` appended, which belong to no word."""
        return AlignmentSide([*self.pieces, *end], [*self.words, *[None for _ in end]])


@dataclass(frozen=True)
class Alignment:
    """The attention weights of one translation.

    source, target: the pieces of the source (S of them) and of the translation (T of them).
    weights: [T, S] float32. Row t is the attention over the source at the step that wrote target
    piece t; each row sums to 1.

    If a line was translated in parts, the parts follow each other in `source` and `target`. A
    target piece then has weights above 0 only for the source pieces of its own part.
    """

    source: AlignmentSide
    target: AlignmentSide
    weights: np.ndarray

    def hard(self) -> list[tuple[int, int]]:
        """Return one pair (source word, target word) for each target word, in target order.

        The weights are averaged over the pieces of a target word and added over the pieces of a
        source word. Each target word is paired with the source word of the largest weight; in a
        tie, with the first of them.
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
        """Return the hard alignment in Pharaoh format, `i-j i-j`: source word i, target word j."""
        return " ".join(f"{source}-{target}" for source, target in self.hard())


EMPTY_ALIGNMENT = Alignment(
    AlignmentSide([], []), AlignmentSide([], []), np.zeros((0, 0), np.float32)
)


def join_alignments(parts: Sequence[Alignment]) -> Alignment:
    """Join the alignments of the parts of one line into the alignment of the whole line.

    The word numbers in `parts` must be numbers in the whole line, not in the part.
    """
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
