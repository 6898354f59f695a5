"""Alignments from attention weights: soft ones between subwords, hard ones between words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AlignmentSide:
    """One side of an alignment: the source or the translation.

    pieces: the subword pieces as the vocabulary spells them, including `</s>`.
    words: one entry for each piece: the number of the word that contains the piece, or None for
    `</s>`. Words are separated by white space and counted from 0.
    """

    pieces: list[str]
    words: Sequence[int | None]

    def with_end(self, end: list[str]) -> AlignmentSide:
        """Return a copy with further subwords at the end (such as `</s>`) that are in no word."""
        return AlignmentSide([*self.pieces, *end], [*self.words, *[None for _ in end]])


@dataclass(frozen=True)
class Alignment:
    """The attention weights of one translation.

    source: the S subwords of the source.
    target: the T subwords of the translation.
    weights: [T, S] float32. Row t holds the attention weights of the step that wrote target subword
        t. Each row sums to 1.

    If a line was translated in parts, `source` and `target` hold the subwords of all parts, in
    order. A target subword then has weights above 0 only for source subwords of the same part.
    """

    source: AlignmentSide
    target: AlignmentSide
    weights: np.ndarray

    def hard(self) -> list[tuple[int, int]]:
        """Return one pair (source word, target word) for each target word, in target order.

        The weight of a word pair is a mean over the subwords of the target word and a sum over the
        subwords of the source word. Each target word is paired with the source word that has the
        largest weight. In a tie, the first of these source words is chosen.
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
        """Return the hard alignment in Pharaoh format: `i-j` pairs source word i, target word j."""
        return " ".join(f"{source}-{target}" for source, target in self.hard())


EMPTY_ALIGNMENT = Alignment(
    AlignmentSide([], []), AlignmentSide([], []), np.zeros((0, 0), np.float32)
)


def join_alignments(parts: Sequence[Alignment]) -> Alignment:
    """Return the alignment of a line that was translated in several parts.

    parts: the alignment of each part. Its word numbers must be counted from the beginning of the
        line, not of the part.
    """
    if not parts:
        return EMPTY_ALIGNMENT
    weights = join_blocks([part.weights for part in parts])
    return Alignment(
        _joined([part.source for part in parts]), _joined([part.target for part in parts]), weights
    )


def join_blocks(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the block diagonal matrix of several attention matrices [T_i, S_i], float32."""
    rows, columns = np.cumsum([[0, 0], *(block.shape for block in blocks)], axis=0).T
    weights = np.zeros((rows[-1], columns[-1]), np.float32)
    for number, block in enumerate(blocks):
        top, left = rows[number], columns[number]
        weights[top : rows[number + 1], left : columns[number + 1]] = block
    return weights


def _joined(sides: Sequence[AlignmentSide]) -> AlignmentSide:
    return AlignmentSide(
        [piece for side in sides for piece in side.pieces],
        [word for side in sides for word in side.words],
    )
