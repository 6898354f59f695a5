"""Perplexity as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Perplexity:
    """The perplexity of a model on a text.

    Attributes:
        nll: Negative log-likelihood, summed over all tokens, in nats.
        tokens: Number of tokens. Line ends count if the model was trained with line-end tokens.
    """

    nll: float
    tokens: int

    @property
    def loss(self) -> float:
        """The mean negative log-likelihood, in nats per token."""
        return self.nll / self.tokens

    @property
    def value(self) -> float:
        """The perplexity exp(loss). The exponent is limited to 700 to avoid an overflow."""
        return math.exp(min(self.loss, 700))
