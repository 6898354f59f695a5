"""The loss of each target token, given the log-probabilities of all tokens."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def mean_token_losses(
    log_p: Tensor, wanted: Tensor, *, smoothing: float, r_drop: float, size: int
) -> tuple[Tensor, Tensor]:
    """Return the loss of each token [n] with label smoothing and R-Drop, and its nll [P, n].

    `cross_entropy` explains smoothing and r_drop. The loss is the mean over the passes. The nll has
    no gradient.

    log_p: the predictions of P passes through the network, [P, n, V]. With R-Drop, P is 2.
    wanted: the target ids, [n].
    size: label smoothing covers the first `size` tokens of V, except tokens that are impossible
        (log p = -inf).
    """
    possible = log_p[:, :, :size].isfinite()
    # Limit the loss of a token whose probability rounds to 0, to 87 nats in float32.
    log_p = log_p.clamp_min(math.log(torch.finfo(log_p.dtype).tiny))
    at = log_p.gather(2, wanted.expand(len(log_p), -1).unsqueeze(2)).squeeze(2)  # [P, n]
    losses = -at
    if smoothing:
        mean = (log_p[:, :, :size] * possible).sum(dim=2) / possible.sum(dim=2)
        losses = (1 - smoothing) * losses - smoothing * mean
    losses = losses.mean(dim=0)  # [n]
    if r_drop:
        one, other = log_p
        divergence = ((one.exp() - other.exp()) * (one - other)).sum(dim=1)  # both directions
        losses = losses + r_drop / 4 * divergence
    return losses, -at.detach()
