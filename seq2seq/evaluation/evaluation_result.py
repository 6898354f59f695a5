"""The result of one evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seq2seq.evaluation.lengths import LengthBucket
from seq2seq.evaluation.scores import Score
from seq2seq.evaluation.symbol_scores import Confusion, SymbolLengthBucket
from seq2seq.text.example import Example
from seq2seq.text.scripts import BleuTokenizer


@dataclass(frozen=True)
class EvaluationResult:
    """The result of one evaluation.

    scores: The scores of the model on the data set.
    seconds: The time of the evaluation in seconds.
    by_length: BLEU by source length. Empty unless the model is a translator.
    outputs: The text or the labels that the model produced for each example. Empty if the model is
        scored by perplexity.
    confusion: [labels, labels] int64, the confusion matrix of a classifier or tagger; None for
        other models.
    names: The labels, in the order of the rows and columns of `confusion`.
    decoding: The settings of the search. Empty if there was no search.
    symbols_by_length: The symbol errors by source length. Empty unless symbols are scored.
    confusions: The most frequent confusions of symbols. Empty unless symbols are scored.
    bleu_tokens: The tokenizer that BLEU used. None if BLEU was not computed.
    """

    scores: list[Score]
    seconds: float
    by_length: list[LengthBucket] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    confusion: np.ndarray | None = None
    names: list[str] = field(default_factory=list)
    decoding: dict[str, object] = field(default_factory=dict)
    bleu_tokens: BleuTokenizer | None = None
    symbols_by_length: list[SymbolLengthBucket] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)


def split_sides(examples: Sequence[Example]) -> tuple[list[str], list[str]]:
    """Return the sources and the targets of examples."""
    return [example.source for example in examples], [example.target for example in examples]
