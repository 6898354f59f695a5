"""Corpus scores of translations: BLEU, chrF and TER by sacreBLEU, and exact match.

Papers: BLEU: Papineni et al. 2002, Post 2018; chrF: Popović 2015; TER: Snover et al. 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sacrebleu.metrics.bleu import BLEU, BLEUScore
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from seq2seq.errors import UserError
from seq2seq.text.compared_form import PLAIN_FORM, ComparedForm

_NGRAM = 4  # BLEU counts n-grams of up to four tokens
# Tokenizers of text without spaces. TER then also counts each Chinese or Japanese character.
_UNSPACED = ("zh", "char", "ja-mecab")


@dataclass(frozen=True)
class Score:
    """The value of one metric.

    name: The name of the metric.
    value: BLEU, chrF and exact match range from 0 to 100. TER and error rates begin at 0, may
        exceed 100, and are better if they are lower.
    signature: The signature of sacreBLEU for BLEU, chrF and TER. For other metrics, what was
        counted (such as "1,000 tokens"), or empty.
    """

    name: str
    value: float
    signature: str


@dataclass(frozen=True)
class BleuResult:
    """BLEU, and the number of matches that shows whether BLEU is meaningful.

    value: BLEU from 0 to 100.
    matches: The number of 4-grams in the hypotheses that also occur in their references. If it is
        0, the value comes from smoothing alone.
    """

    value: float
    matches: int


def measure_bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokens: str = "13a",
    more_references: Sequence[Sequence[str]] = (),
) -> BleuResult:
    """Return the corpus BLEU without effective order. The arguments are those of `corpus_bleu`.

    Training calls this function at every validation. To avoid repeated warnings, the function
    suppresses sacreBLEU's warning about hypotheses that seem to be tokenized.
    """
    streams = require_equal_lengths(hypotheses, references, more_references)
    # `force` suppresses the warning and does not change the score.
    score: BLEUScore = _bleu(lowercase, tokens, force=True).corpus_score(hypotheses, streams)
    return BleuResult(float(score.score), int(score.counts[_NGRAM - 1]))


def corpus_bleu(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    tokens: str = "13a",
    more_references: Sequence[Sequence[str]] = (),
) -> float:
    """Return the corpus BLEU of hypotheses, from 0 to 100, without effective order.

    hypotheses: Detokenized translations, one per line of the source.
    references: Detokenized references, one for each hypothesis.
    lowercase: Whether the score ignores case.
    tokens: The tokenizer of sacreBLEU, such as "13a" or "zh".
    more_references: Lists of further references, each with one line for each hypothesis. An empty
        line is no reference.

    Raises UserError if the numbers of lines differ, if there are no lines, or if the tokenizer is
    not installed.
    """
    return measure_bleu(
        hypotheses,
        references,
        lowercase=lowercase,
        tokens=tokens,
        more_references=more_references,
    ).value


def corpus_chrf(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    lowercase: bool = False,
    more_references: Sequence[Sequence[str]] = (),
) -> float:
    """Return the corpus chrF, 0 to 100. The arguments are those of `corpus_bleu`."""
    streams = require_equal_lengths(hypotheses, references, more_references)
    return float(CHRF(lowercase=lowercase).corpus_score(hypotheses, streams).score)


def corpus_ter(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    tokens: str = "13a",
    more_references: Sequence[Sequence[str]] = (),
) -> float:
    """Return the corpus TER in per cent, ignoring case. Lower is better.

    The arguments are those of `corpus_bleu`. If `tokens` is a tokenizer of text without spaces,
    each Chinese or Japanese character counts as a word.
    """
    streams = require_equal_lengths(hypotheses, references, more_references)
    return float(_ter(tokens).corpus_score(hypotheses, streams).score)


def exact_match(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    form: ComparedForm = PLAIN_FORM,
    more_references: Sequence[Sequence[str]] = (),
) -> float:
    """Return the percentage of hypotheses that equal one of their references.

    form: The form in which texts are compared.
    The other arguments are those of `corpus_bleu`.
    """
    streams = require_equal_lengths(hypotheses, references, more_references)
    # An empty line is a reference in the first list only.
    hits = sum(
        form.apply(hypothesis) in {form.apply(first), *filter(None, map(form.apply, others))}
        for hypothesis, first, *others in zip(hypotheses, *streams, strict=True)
    )
    return 100 * hits / len(hypotheses)


def can_judge(references: Sequence[str], *, tokens: str = "13a") -> bool:
    """Return whether any reference has four tokens. Otherwise BLEU cannot match any 4-gram.

    tokens: The tokenizer of sacreBLEU. Raises UserError if it is not installed.
    """
    tokenize = _bleu(False, tokens, force=True).tokenizer
    return any(len(tokenize(reference).split()) >= _NGRAM for reference in references)


def require_bleu_tokenizer(tokens: str) -> None:
    """Raise UserError if a tokenizer of sacreBLEU is not installed on this machine."""
    _bleu(False, tokens, force=True)


def bleu_signature(*, lowercase: bool = False, tokens: str = "13a", references: int = 1) -> str:
    """Return the sacreBLEU signature of the score that `corpus_bleu` computes."""
    metric = _bleu(lowercase, tokens, force=True)
    metric.corpus_score(["one"], [["one"]] * references)  # the signature contains their number
    return str(metric.get_signature())


def corpus_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    form: ComparedForm = PLAIN_FORM,
    tokens: str = "13a",
    more_references: Sequence[Sequence[str]] = (),
) -> list[Score]:
    """Return BLEU, chrF, TER and exact match of a corpus, in this order.

    BLEU, chrF and TER equal the values of the command `sacrebleu`. TER ignores case, as it does by
    default in sacreBLEU. Warnings of sacreBLEU are not suppressed.

    form: The form in which exact match compares texts. BLEU and chrF only use its `lowercase`.
    The other arguments and the errors are those of `corpus_bleu`.
    """
    streams = require_equal_lengths(hypotheses, references, more_references)
    scores = []
    for name, metric in (
        ("BLEU", _bleu(form.lowercase, tokens)),
        ("chrF", CHRF(lowercase=form.lowercase)),
        ("TER", _ter(tokens)),
    ):
        value = float(metric.corpus_score(hypotheses, streams).score)
        # The signature is complete only after scoring: it contains the number of references.
        scores.append(Score(name, value, str(metric.get_signature())))
    exact = exact_match_score(hypotheses, references, form=form, more_references=more_references)
    return [*scores, exact]


def exact_match_score(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    form: ComparedForm = PLAIN_FORM,
    more_references: Sequence[Sequence[str]] = (),
) -> Score:
    """Return the exact match with its signature. The arguments are those of `exact_match`."""
    value = exact_match(hypotheses, references, form=form, more_references=more_references)
    counted = f"nrefs:{1 + len(more_references)}|{form.signature}|lines:{len(hypotheses)}"
    return Score("exact match", value, counted)


def _bleu(lowercase: bool, tokens: str, *, force: bool = False) -> BLEU:
    try:
        return BLEU(lowercase=lowercase, tokenize=tokens, force=force)
    except (RuntimeError, ImportError) as error:
        detail = " ".join(str(error).split())
        raise UserError(
            f"the BLEU tokenizer {tokens!r} cannot be used: {detail} "
            "Install the package, or choose another tokenizer."
        ) from None


def _ter(tokens: str) -> TER:
    unspaced = tokens in _UNSPACED
    return TER(normalized=unspaced, asian_support=unspaced)


def require_equal_lengths(
    hypotheses: Sequence[str], references: Sequence[str], more: Sequence[Sequence[str]]
) -> list[Sequence[str]]:
    """Check the numbers of lines, and return a list of `references` and the lists in `more`.

    more: Lists of further references.
    Raises UserError if a list is not as long as `hypotheses`, or if there are no hypotheses.
    """
    for lines in (references, *more):
        if len(hypotheses) != len(lines):
            raise UserError(
                f"there are {len(hypotheses):,} hypotheses but {len(lines):,} references: "
                "give one reference line for each hypothesis line"
            )
    if not hypotheses:
        raise UserError("there are no lines to score: give hypotheses and references with text")
    return [references, *more]
