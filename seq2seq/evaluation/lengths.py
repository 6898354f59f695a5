"""BLEU by source length.

These scores show, for example, whether a model translates long sentences worse than short ones.
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

    A length is a number of words. White space separates words.

    low: The smallest source length in the range.
    high: The largest source length in the range, or None for a range without an upper limit.
    lines: The number of lines in this bucket.
    bleu: The corpus BLEU of these lines, 0 to 100.
    reference_words: The number of words in all references of these lines.
    hypothesis_words: The number of words in all hypotheses of these lines.
    """

    low: int
    high: int | None
    lines: int
    bleu: float
    reference_words: int
    hypothesis_words: int

    @property
    def length_ratio(self) -> float:
        """The number of hypothesis words per reference word. NaN without reference words."""
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
    more_references: Sequence[Sequence[str]] = (),
) -> list[LengthBucket]:
    """Group lines by source length into buckets and compute the BLEU of each bucket.

    Every line is in exactly one bucket. Returns the buckets sorted by length, without empty ones.

    edges: The maximum source length of each bucket, in words. A last bucket holds all longer lines.
    lowercase: Whether BLEU ignores case.
    tokens: The tokenizer of sacreBLEU, such as "13a" or "zh".
    more_references: Lists of further references, as in `corpus_bleu`.

    Raises UserError if the numbers of lines differ, if there are no lines, if the edges do not
    increase, or if an edge is below 1.
    """
    if not len(sources) == len(hypotheses) == len(references):
        raise UserError(
            f"{len(sources):,} sources, {len(hypotheses):,} hypotheses and {len(references):,} "
            "references: the numbers of lines must be equal"
        )
    if not sources:
        raise UserError("there are no lines to score by length: give texts that are not empty")
    if any(low >= high for low, high in zip((0, *edges), edges, strict=False)):
        raise UserError(
            f"the length limits {list(edges)} of the groups of lines do not increase: give "
            "increasing lengths, such as 5 10 20"
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
            score = corpus_bleu(
                hypothesis,
                reference,
                lowercase=lowercase,
                tokens=tokens,
                more_references=[[lines[line] for line in part] for lines in more_references],
            )
            buckets.append(
                LengthBucket(low, high, len(part), score, _words(reference), _words(hypothesis))
            )
    return buckets


def _words(lines: Sequence[str]) -> int:
    return sum(len(line.split()) for line in lines)
