"""Compute perplexities, for PyTorch models and for exported models."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from seq2seq.decoding.language_model import LanguageModel
from seq2seq.evaluation.scores import Score
from seq2seq.models.perplexity_value import Perplexity, format_share
from seq2seq.text.example import Example


def language_model_scores(
    model: LanguageModel, examples: Sequence[Example], name: str
) -> list[Score]:
    """Return the perplexity of a language model on the targets, which are read as one text.

    name: The name of the text in messages."""
    perplexity = model.measure((example.target for example in examples), name)
    return perplexity_scores("perplexity", perplexity, ", state carried")


def scores_with_shuffled_sources(
    measure: Callable[[list[Example]], Perplexity], examples: Sequence[Example]
) -> list[Score]:
    """Compute perplexity twice: with the correct sources, and with the sources in a random order.

    The difference between the two perplexities shows how much the model uses the source.
    """
    sources = [(example.source, example.features) for example in examples]
    shuffled = random.Random(1).sample(sources, len(sources))
    with_own_source, with_shuffled = (
        measure(
            [
                example._replace(source=source, features=features)
                for example, (source, features) in zip(examples, column, strict=True)
            ]
        )
        for column in (sources, shuffled)
    )
    scores = perplexity_scores("perplexity", with_own_source)
    return scores + perplexity_scores("perplexity, sources shuffled", with_shuffled)


def perplexity_scores(title: str, perplexity: Perplexity, how: str = "") -> list[Score]:
    """Return the perplexity and, if there are unknown tokens, the perplexity without them.

    The signature of each score says how many tokens count and which share is unknown.

    title: The name of the score.
    how: Text to add at the end of the signatures.
    """
    signature, unknown = f"{perplexity.tokens:,} tokens{how}", perplexity.unknown
    if not unknown:
        return [Score(title, perplexity.value, signature)]
    share = format_share(perplexity.unknown_share)
    scores = [Score(title, perplexity.value, f"{signature}, {share} unknown (<unk>)")]
    if perplexity.known_value is not None:
        counted = f"{perplexity.tokens - unknown:,} tokens{how}"
        scores.append(Score(f"{title}, known tokens", perplexity.known_value, counted))
    return scores
