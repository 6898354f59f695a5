"""Minimum Bayes risk: of several candidates, the one that is most like all the others.

    argmax_y Σ_y' p(y') u(y, y')

(Kumar and Byrne 2004; over samples: Eikema and Aziz 2020). The likeliest one may be like none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from seq2seq.decoding.options import Utility


def expected_utilities(
    texts: Sequence[str],
    log_weights: Sequence[float],
    utility: Utility,
    *,
    lowercase: bool = False,
    tokens: str = "13a",
) -> list[float]:
    """For each of N texts its utility, from 0 to 100, against all N of them, itself too, weighed by
    exp(log_weights) brought to a sum of one. N² sentence scores, equal texts once.

    lowercase, tokens: as the corpus is scored; tokens are what BLEU counts
    (`languages.bleu_tokenizer`).
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
    import sacrebleu  # half a second that few commands need

    if utility == "chrf":
        return sacrebleu.CHRF(lowercase=lowercase)
    return sacrebleu.BLEU(lowercase=lowercase, tokenize=tokens, effective_order=True)
