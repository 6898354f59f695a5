"""BLEU by the length of the source: where a fixed context runs out of room, it shows here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.errors import UserError
from seq2seq.evaluation.scores import corpus_bleu

LENGTH_EDGES = (5, 10, 15, 20, 30, 40, 60)


@dataclass(frozen=True)
class LengthBucket:
    """The lines whose source has ``low`` to ``high`` words, both counted in; None is no end.

    Words are what whitespace separates. ``bleu`` is the corpus BLEU of these lines (0 to 100).
    """

    low: int
    high: int | None
    lines: int
    bleu: float
    reference_words: int
    hypothesis_words: int

    @property
    def length_ratio(self) -> float:
        """Hypothesis words for each reference word; nan where the references have no words."""
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
    """Parts the lines by the number of words in the source and scores each part.

    ``edges`` are the longest source of each bucket, in words; one more bucket holds whatever is
    longer. Every line is in exactly one bucket. Empty buckets are left out; the rest come
    shortest first. ``lowercase``, ``tokens``: scored so.

    Raises UserError where the three numbers of lines differ, there are no lines, or the edges do
    not rise from at least 1.
    """
    if not len(sources) == len(hypotheses) == len(references):
        raise UserError(
            f"{len(sources):,} sources, {len(hypotheses):,} hypotheses and {len(references):,} "
            "references do not pair up: give the same number of lines in each"
        )
    if not sources:
        raise UserError("there are no lines to score by length: the sources are empty")
    if any(low >= high for low, high in zip((0, *edges), edges, strict=False)):
        raise UserError(f"the edges {list(edges)} do not rise: give lengths in words, as 5 10 20")
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
