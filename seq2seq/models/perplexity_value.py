"""The class `Perplexity`: the loss of a model on a text, and the number of tokens of the text."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Perplexity:
    """The perplexity of a model on a text.

    The vocabulary may lack some words or characters of a text. They become the token `<unk>`, which
    is easy to predict, so a text with many unknown tokens has a misleadingly low perplexity.

    Attributes:
        nll: Negative log-likelihood, summed over all tokens, in nats.
        tokens: Number of tokens. Line ends count if the model was trained with line-end tokens.
        unknown: Number of unknown tokens (`<unk>`).
        unknown_nll: Negative log-likelihood, summed over the unknown tokens, in nats.
    """

    nll: float
    tokens: int
    unknown: int = 0
    unknown_nll: float = 0.0

    @property
    def loss(self) -> float:
        """The mean negative log-likelihood, in nats per token."""
        return self.nll / self.tokens

    @property
    def value(self) -> float:
        """The perplexity exp(loss). The exponent is limited to 700 to avoid an overflow."""
        return exp_loss(self.loss)

    @property
    def unknown_share(self) -> float:
        """The fraction of unknown tokens, 0 to 1."""
        return self.unknown / self.tokens

    @property
    def known_loss(self) -> float | None:
        """The mean loss of all known tokens. None if all tokens are unknown."""
        known = self.tokens - self.unknown
        return (self.nll - self.unknown_nll) / known if known else None

    @property
    def known_value(self) -> float | None:
        """The perplexity without the unknown tokens. None if all tokens are unknown."""
        return None if self.known_loss is None else exp_loss(self.known_loss)

    def describe_unknown(self) -> str:
        """Return the share of unknown tokens and the perplexity without them, as a clause.

        Return "" if there are no unknown tokens.
        """
        if not self.unknown:
            return ""
        share, value = format_share(self.unknown_share), self.known_value
        without = "" if value is None else f", perplexity without them {value:.3f}"
        return f"{share} unknown tokens (<unk>){without}"


def exp_loss(loss: float) -> float:
    """Return the perplexity of a loss in nats per token. The exponent is limited to 700."""
    return math.exp(min(loss, 700))


def format_share(share: float) -> str:
    """Return a fraction above 0 as a percentage that is not rounded down to zero."""
    return f"{100 * share:.2f} %" if share >= 0.00005 else "below 0.01 %"
