"""Perplexity as a value."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Perplexity:
    """nll: nats, over all tokens; the ends of lines are tokens where the model has learned them."""

    nll: float
    tokens: int

    @property
    def loss(self) -> float:
        """Nats a token."""
        return self.nll / self.tokens

    @property
    def value(self) -> float:
        """exp of the loss."""
        return math.exp(min(self.loss, 700))
