"""Scores by perplexity, for models on PyTorch and for exports."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from seq2seq.decoding.language_model import LanguageModel
from seq2seq.evaluation.scores import Score
from seq2seq.models.perplexity_value import Perplexity
from seq2seq.text.example import Example


def language_model_scores(
    model: LanguageModel, examples: Sequence[Example], name: str
) -> list[Score]:
    """Return the perplexity of a language model on the targets, read as one text. name: of the
    text, in messages."""
    perplexity = model.measure((example.target for example in examples), name)
    return [Score("perplexity", perplexity.value, f"{perplexity.tokens:,} tokens, state carried")]


def scores_with_shuffled_sources(
    measure: Callable[[list[Example]], Perplexity], examples: Sequence[Example]
) -> list[Score]:
    """Compute perplexity twice: with the correct sources, and with the sources in a random order.

    The difference between the two perplexities shows how much the model uses the source.
    """
    sources = [example.source for example in examples]
    targets = [example.target for example in examples]
    shuffled = random.Random(1).sample(sources, len(sources))
    with_own_source, with_shuffled = (
        measure(list(map(Example, column, targets))) for column in (sources, shuffled)
    )
    signature = f"{with_own_source.tokens:,} tokens"
    return [
        Score("perplexity", with_own_source.value, signature),
        Score("perplexity, sources shuffled", with_shuffled.value, signature),
    ]
