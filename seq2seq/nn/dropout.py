"""Dropout of sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SequenceDropout(nn.Module):
    """Dropout on [B, T, F]; `variational`: one mask for all steps (Gal and Ghahramani 2016)."""

    def __init__(self, rate: float, variational: bool = False) -> None:
        super().__init__()
        self.rate, self.variational = rate, variational

    def mask(self, like: Tensor, F: int) -> Tensor | None:
        """What [B, T, F] is multiplied by, with B, T and dtype of `like`; None where nothing
        drops."""
        if not self.training or self.rate == 0:
            return None
        B, T = like.shape[:2]
        shape = (B, 1 if self.variational else T, F)
        if like.device.type == "cuda":  # where that is one kernel
            return torch.dropout(like.new_ones(shape), self.rate, True).expand(B, T, F)
        size = math.prod(shape)
        # Sixteen random bits decide: a quarter of the draws that a float each would need.
        bits = torch.empty(-(-size // 4), dtype=torch.int64, device=like.device)
        drawn = bits.random_(-(2**63), None).view(torch.int16)[:size].view(shape)
        keep = drawn >= round(self.rate * 2**16) - 2**15
        return keep.to(like.dtype).mul_(1 / (1 - self.rate)).expand(B, T, F)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x, x.shape[2])
        return x if mask is None else x * mask
