"""Minimum Bayes risk decoding: choose the candidate that is most similar to all candidates.

    argmax_y Σ_y' p(y') u(y, y')

Here y and y' are candidates, p(y') is the probability of a candidate, and the utility u is a
sentence score that measures similarity. This choice can be better than the most likely candidate,
which may differ from most other candidates (Kumar and Byrne 2004). The candidates can also be
samples (Eikema and Aziz 2020).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from seq2seq.decoding.options import MinimumRiskOptions, SamplingOptions, Utility
from seq2seq.decoding.results import LineResult, Translation
from seq2seq.text.scripts import choose_bleu_tokenizer


def rerank(
    result: LineResult, options: MinimumRiskOptions, *, language: str, lowercase: bool
) -> LineResult:
    """Return a result with its translations sorted by expected utility, best first.

    language: the target language.
    lowercase: whether the utility ignores case.
    """
    candidates = result.translations
    texts = [candidate.text for candidate in candidates]
    # Likely samples are drawn more often, so each sample has the same weight.
    sampled = isinstance(options.candidates, SamplingOptions)
    gains = expected_utilities(
        texts,
        [0.0 if sampled else candidate.log_probability for candidate in candidates],
        options.utility,
        lowercase=lowercase,
        tokens=choose_bleu_tokenizer(texts, language).name,
    )
    scored = [
        replace(candidate, score=gain) for candidate, gain in zip(candidates, gains, strict=True)
    ]
    first: dict[str, Translation] = {}
    for candidate in sorted(scored, key=lambda candidate: -candidate.score):
        first.setdefault(candidate.text, candidate)
    return LineResult(list(first.values())[: options.n_best], result.notes)


def expected_utilities(
    texts: Sequence[str],
    log_weights: Sequence[float],
    utility: Utility,
    *,
    lowercase: bool = False,
    tokens: str = "13a",
) -> list[float]:
    """Return the expected utility of each of N texts, from 0 to 100.

    The expected utility of a text is the weighted mean of its sentence scores. Each of the N texts,
    including the text itself, serves once as the reference.

    log_weights: the logarithms of the weights. The weights are normalised to sum to 1.
    utility: the sentence score, "chrf" or "bleu".
    lowercase: whether the score ignores case.
    tokens: the sacreBLEU tokenizer for BLEU (see `scripts.choose_bleu_tokenizer`).
    """
    top = max(log_weights)
    mass: dict[str, float] = {}
    for text, weight in zip(texts, log_weights, strict=True):
        mass[text] = mass.get(text, 0.0) + math.exp(weight - top)
    total = sum(mass.values())
    score = _metric(utility, lowercase, tokens).sentence_score
    gained = {
        text: sum(weight * score(text, [other]).score for other, weight in mass.items()) / total
        for text in mass
    }
    return [gained[text] for text in texts]


@lru_cache
def _metric(utility: Utility, lowercase: bool, tokens: str):  # type: ignore[no-untyped-def]
    import sacrebleu  # here, because the import takes half a second

    if utility == "chrf":
        return sacrebleu.CHRF(lowercase=lowercase)
    return sacrebleu.BLEU(lowercase=lowercase, tokenize=tokens, effective_order=True)
