"""Score the outputs of a translator with metrics for text or for symbols."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from seq2seq.config.schema import Config
from seq2seq.evaluation.evaluation_result import split_sides
from seq2seq.evaluation.lengths import LengthBucket, bleu_by_length
from seq2seq.evaluation.scores import Score, can_judge, corpus_scores, exact_match_score
from seq2seq.evaluation.symbol_scores import (
    Confusion,
    SymbolComparison,
    SymbolLengthBucket,
    scored_by_symbols,
    symbol_splitter,
)
from seq2seq.text.compared_form import ComparedForm
from seq2seq.text.example import Example, further_references
from seq2seq.text.scripts import BleuTokenizer

_log = logging.getLogger(__name__)

_CONFUSIONS = 20


@dataclass(frozen=True)
class OutputScores:
    """The scores of a translator's outputs. `EvaluationResult` explains the fields."""

    scores: list[Score]
    by_length: list[LengthBucket] = field(default_factory=list)
    symbols_by_length: list[SymbolLengthBucket] = field(default_factory=list)
    confusions: list[Confusion] = field(default_factory=list)


def score_outputs(
    config: Config,
    examples: Sequence[Example],
    outputs: Sequence[str],
    *,
    bleu: BleuTokenizer | None,
) -> OutputScores:
    """Return the scores of the outputs for some examples.

    Text is scored by BLEU, chrF, TER and exact match. Symbols are scored by error rates and exact
    match.

    bleu: The tokenizer of BLEU. None if only symbols are scored.
    """
    sources, references = split_sides(examples)
    target = config.tokenizer.of("target")
    form = ComparedForm.of(config.tokenizer)
    more = further_references(examples)
    scores = []
    by_length: list[LengthBucket] = []
    if bleu is not None:
        if not can_judge([*references, *chain(*more)], tokens=bleu.name):
            _log.warning(
                "BLEU cannot judge these translations, because no reference has four tokens; use "
                "chrF, TER or exact match"
            )
        scores += corpus_scores(
            outputs, references, form=form, tokens=bleu.name, more_references=more
        )
        by_length = bleu_by_length(
            sources,
            outputs,
            references,
            lowercase=form.lowercase,
            tokens=bleu.name,
            more_references=more,
        )
    if not scored_by_symbols(config):
        return OutputScores(scores, by_length)
    comparison = SymbolComparison(
        outputs,
        references,
        symbol_splitter(target),
        form=form,
        more_references=more,
    )
    exact = exact_match_score(outputs, references, form=form, more_references=more)
    split = symbol_splitter(config.tokenizer.of("source")).split
    return OutputScores(
        comparison.scores() + (scores or [exact]),
        by_length,
        comparison.by_length([len(split(source)) for source in sources]),
        comparison.confusions(_CONFUSIONS),
    )
