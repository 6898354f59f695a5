"""Dropout for sequences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class SequenceDropout(nn.Module):
    """Dropout on tensors [B, T, F], where F is the number of features.

    Args:
        rate: Probability that a feature becomes zero.
        variational: Use the same mask at all steps of a sequence (Gal and Ghahramani 2016).
    """

    def __init__(self, rate: float, variational: bool = False) -> None:
        super().__init__()
        self.rate, self.variational = rate, variational

    def mask(self, like: Tensor, F: int) -> Tensor | None:
        """Return a random dropout mask, [B, T, F], or None if nothing is dropped.

        The caller multiplies features by the mask. The mask is 0 for a dropped feature and 1 / (1 -
        rate) for a kept feature. Nothing is dropped in evaluation mode or if the rate is 0.

        like: A tensor [B, T, any size] with the same dtype and device as the mask.
        F: The number of features.
        """
        if not self.training or self.rate == 0:
            return None
        B, T = like.shape[:2]
        shape = (B, 1 if self.variational else T, F)
        if like.device.type == "cuda":  # on a GPU, this is a single kernel
            return torch.dropout(like.new_ones(shape), self.rate, True).expand(B, T, F)
        size = math.prod(shape)
        # 16 random bits decide about a feature. One int64 therefore serves four features.
        bits = torch.empty(-(-size // 4), dtype=torch.int64, device=like.device)
        drawn = bits.random_(-(2**63), None).view(torch.int16)[:size].view(shape)
        keep = drawn >= round(self.rate * 2**16) - 2**15
        return keep.to(like.dtype).mul_(1 / (1 - self.rate)).expand(B, T, F)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with dropout, [B, T, F]."""
        mask = self.mask(x, x.shape[2])
        return x if mask is None else x * mask
