"""The learning rate over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seq2seq.config import TrainingConfig


@dataclass
class Schedule:
    """Linear warm-up, then a decay. A plain value: all its state is `cuts` and `waited`.

    - inverse-sqrt: rate · sqrt(warmup / update) (Vaswani et al. 2017)
    - cosine: from rate to zero over the whole run (Loshchilov and Hutter 2017)
    - plateau: cut by `plateau_factor` after `plateau_patience` validations without a gain
    """

    config: TrainingConfig
    cuts: int = 0
    waited: int = 0

    def rate(self, update: int, progress: float) -> float:
        """The rate of update number `update` (from 1); progress: the part of the run behind it."""
        config = self.config
        warmup = max(1, config.warmup)
        if update < warmup:
            return config.learning_rate * update / warmup
        if config.schedule == "inverse-sqrt":
            return config.learning_rate * math.sqrt(warmup / update)
        if config.schedule == "cosine":
            return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        return config.learning_rate * config.plateau_factor**self.cuts

    def validated(self, gained: bool) -> None:
        """Take note of a validation."""
        self.waited = 0 if gained else self.waited + 1
        if self.waited >= self.config.plateau_patience:
            self.cuts, self.waited = self.cuts + 1, 0
