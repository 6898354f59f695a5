"""BLEU and chrF of a whole corpus, as sacrebleu counts them (Post 2018, Popović 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from seq2seq.errors import UserError


@dataclass(frozen=True)
class Score:
    """One figure: what it is called, how much (BLEU and chrF: 0 to 100), how it was counted.

    ``signature`` is sacrebleu's own; a metric that sacrebleu does not count says in a few words
    what it is over, or is empty.
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
    """The corpus BLEU (0 to 100; effective order off), and nothing on stderr.

    Takes detokenized lines, one reference a hypothesis. Training calls it at every validation,
    where sacrebleu's hint about tokenized full stops would be said again and again.

    Raises UserError where the numbers of lines differ or there are none.
    """
    _refuse_unpaired(hypotheses, references)
    # `force` silences the hint and changes no figure.
    metric = BLEU(lowercase=lowercase, tokenize=tokens, force=True)
    return float(metric.corpus_score(hypotheses, [references]).score)


def bleu_signature(*, lowercase: bool = False, tokens: str = "13a") -> str:
    """sacrebleu's own for what `corpus_bleu` counts."""
    metric = BLEU(lowercase=lowercase, tokenize=tokens, force=True)
    metric.corpus_score(["one"], [["one"]])  # it is known only then how many references there are
    return str(metric.get_signature())


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokens: str = "13a",
) -> list[Score]:
    """BLEU and chrF of a corpus, equal to what the sacrebleu command prints.

    Takes detokenized lines, one reference a hypothesis; gives the two scores in that order, each
    with sacrebleu's signature. sacrebleu's hint about tokenized full stops is let through here.

    Raises UserError where the numbers of lines differ or there are none.
    """
    _refuse_unpaired(hypotheses, references)
    scores = []
    for name, metric in (
        ("BLEU", BLEU(lowercase=lowercase, tokenize=tokens)),
        ("chrF", CHRF(lowercase=lowercase)),
    ):
        value = float(metric.corpus_score(hypotheses, [references]).score)
        # Only after scoring: the signature holds the number of references that were seen.
        scores.append(Score(name, value, str(metric.get_signature())))
    return scores


def _refuse_unpaired(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise UserError(
            f"{len(hypotheses):,} hypotheses cannot be scored against {len(references):,} "
            "references: give one reference line for each hypothesis line"
        )
    if not hypotheses:
        raise UserError("there are no lines to score: the hypotheses and the references are empty")
