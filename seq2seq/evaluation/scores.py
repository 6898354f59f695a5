"""Corpus BLEU and chrF, computed by sacreBLEU (Post 2018; chrF: Popović 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from seq2seq.errors import UserError


@dataclass(frozen=True)
class Score:
    """The value of one metric.

    name: The name of the metric.
    value: The value. BLEU and chrF range from 0 to 100.
    signature: How the value was computed. BLEU and chrF have the signature of sacreBLEU. The
    signature of another metric says what was counted (such as "1,000 tokens"), or is empty.
    """

    name: str
    value: float
    signature: str


def corpus_bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokens: str = "13a",
) -> float:
    """Return the corpus BLEU of hypotheses, from 0 to 100, without effective order.

    Training calls this function at every validation. So the function suppresses the warning of
    sacreBLEU about hypotheses that seem to be tokenized.

    hypotheses, references: Detokenized lines, one reference for each hypothesis.
    lowercase: Whether the score ignores case.
    tokens: The tokenizer of sacreBLEU, such as "13a" or "zh".

    Raises UserError if the numbers of lines differ or if there are no lines.
    """
    _refuse_unpaired(hypotheses, references)
    # `force` suppresses the warning and does not change the score.
    metric = BLEU(lowercase=lowercase, tokenize=tokens, force=True)
    return float(metric.corpus_score(hypotheses, [references]).score)


def bleu_signature(*, lowercase: bool = False, tokens: str = "13a") -> str:
    """Return the sacreBLEU signature of the score that `corpus_bleu` computes."""
    metric = BLEU(lowercase=lowercase, tokenize=tokens, force=True)
    metric.corpus_score(["one"], [["one"]])  # the signature contains the number of references
    return str(metric.get_signature())


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokens: str = "13a",
) -> list[Score]:
    """Return BLEU and chrF of a corpus, in this order. The command `sacrebleu` gives equal scores.

    Each score has its sacreBLEU signature. Warnings of sacreBLEU are not suppressed.

    hypotheses, references: Detokenized lines, one reference for each hypothesis.
    lowercase: Whether the scores ignore case.
    tokens: The tokenizer of sacreBLEU for BLEU, such as "13a" or "zh".

    Raises UserError if the numbers of lines differ or if there are no lines.
    """
    _refuse_unpaired(hypotheses, references)
    scores = []
    for name, metric in (
        ("BLEU", BLEU(lowercase=lowercase, tokenize=tokens)),
        ("chrF", CHRF(lowercase=lowercase)),
    ):
        value = float(metric.corpus_score(hypotheses, [references]).score)
        # The signature is complete only after scoring: it contains the number of references.
        scores.append(Score(name, value, str(metric.get_signature())))
    return scores


def _refuse_unpaired(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise UserError(
            f"there are {len(hypotheses):,} hypotheses but {len(references):,} references: "
            "give one reference line for each hypothesis line"
        )
    if not hypotheses:
        raise UserError("there are no lines to score: give hypotheses and references with text")
