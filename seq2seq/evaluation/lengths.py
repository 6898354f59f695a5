"""BLEU by source length.

It shows, for example, how a model with one fixed context vector degrades on long sentences.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.errors import UserError
from seq2seq.evaluation.scores import corpus_bleu

LENGTH_EDGES = (5, 10, 15, 20, 30, 40, 60)


@dataclass(frozen=True)
class LengthBucket:
    """The lines whose source length lies in a certain range, and their BLEU.

    Lengths are in words, which are separated by white space.

    low, high: The range of source lengths, both included. If `high` is None, it has no upper end.
    lines: The number of lines in this bucket.
    bleu: The corpus BLEU of these lines, 0 to 100.
    reference_words, hypothesis_words: The number of words in all references and hypotheses.
    """

    low: int
    high: int | None
    lines: int
    bleu: float
    reference_words: int
    hypothesis_words: int

    @property
    def length_ratio(self) -> float:
        """Hypothesis words per reference word, or NaN if there are no reference words."""
        if not self.reference_words:
            return float("nan")
        return self.hypothesis_words / self.reference_words


def bleu_by_length(
    sources: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[str],
    edges: Sequence[int] = LENGTH_EDGES,
    *,
    lowercase: bool = False,
    tokens: str = "13a",
) -> list[LengthBucket]:
    """Group the lines by the number of words in the source and compute the BLEU of each group.

    Every line is in exactly one bucket. The result is sorted by length and has no empty buckets.

    edges: The maximum source length of each bucket, in words. One more bucket holds longer lines.
    lowercase, tokens: See `corpus_bleu`.

    Raises UserError if the numbers of lines differ, if there are no lines, or if the edges do not
    increase or begin below 1.
    """
    if not len(sources) == len(hypotheses) == len(references):
        raise UserError(
            f"{len(sources):,} sources, {len(hypotheses):,} hypotheses and {len(references):,} "
            "references: the numbers of lines must be equal"
        )
    if not sources:
        raise UserError("there are no lines to score by length: the sources are empty")
    if any(low >= high for low, high in zip((0, *edges), edges, strict=False)):
        raise UserError(
            f"the edges {list(edges)} do not increase: give lengths in words, such as 5 10 20"
        )
    parts: list[list[int]] = [[] for _ in range(len(edges) + 1)]
    for line, source in enumerate(sources):
        parts[bisect_left(edges, len(source.split()))].append(line)
    lows = (0, *(edge + 1 for edge in edges))
    highs = (*edges, None)
    buckets = []
    for low, high, part in zip(lows, highs, parts, strict=True):
        if part:
            hypothesis = [hypotheses[line] for line in part]
            reference = [references[line] for line in part]
            score = corpus_bleu(hypothesis, reference, lowercase=lowercase, tokens=tokens)
            buckets.append(
                LengthBucket(low, high, len(part), score, _words(reference), _words(hypothesis))
            )
    return buckets


def _words(lines: Sequence[str]) -> int:
    return sum(len(line.split()) for line in lines)
