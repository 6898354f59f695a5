"""The output layer and its cross-entropy in one function, which keeps few logits in memory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from seq2seq import runtime
from seq2seq.nn.linear import softmax_dtype

_LOGITS = 1 << 22  # approximate number of logits that are in memory at once
_LOGITS_ON_GPU = 1 << 25  # larger, because many small operations slow a GPU down
_LOGITS_IN_CACHE = 1 << 18  # number of logits that fit into the cache of a core


@dataclass(frozen=True)
class OutputSettings:
    """Settings of `OutputLoss`. `cross_entropy` explains smoothing, scale and r_drop."""

    dtype: torch.dtype  # of the matrix products
    smoothing: float
    scale: float
    r_drop: float
    learning: bool  # true if gradients are needed


class OutputLoss(Function):
    """The output layer and its cross-entropy, computed in pieces to keep few logits in memory.

    The gradient of the logits is p - q. Only the prediction p = softmax(W r + b) for the readout r
    needs full matrix products. The smoothed target q = (1 - ε) onehot(y) + ε / V for the token y
    has a closed form, which is exact even if p is in bf16.
    """

    @staticmethod
    def forward(
        ctx: Any,
        readouts: Tensor,
        weight: Tensor,
        bias: Tensor,
        index: Tensor,
        wanted: Tensor,
        settings: OutputSettings,
    ) -> tuple[Tensor, Tensor]:
        """Return the total and the nll [n]. The same pass computes and stores the gradients.

        readouts: [N, E]. weight: [V, E]. bias: [V]. wanted: the target ids, [n].
        index: the rows of real tokens, [n]. With R-Drop, entries 2i and 2i + 1 belong to token i.
        """
        V, dtype, r_drop = len(weight), settings.dtype, settings.r_drop
        smoothing, scale = settings.smoothing, settings.scale
        # With R-Drop, `index` also sets the order of the rows.
        n, whole = len(index), len(index) == len(readouts) and not r_drop
        rows, ids = (readouts if whole else readouts[index]).to(dtype), wanted.unsqueeze(1)
        # Pad with rows of zeros, which do not contribute to the result.
        if extra := -n % (unit := runtime.row_multiple(weight, dtype)):
            rows, ids = F.pad(rows, (0, 0, 0, extra)), F.pad(ids, (0, 0, 0, extra))
        matrix, offset = weight.to(dtype), bias.to(dtype)
        at, p_at = weight.new_empty(2, n + extra)  # logit and probability of each target id
        counts = rows.new_zeros(n + extra)
        counts[:n] = 1
        d_rows, d_matrix = torch.empty_like(rows), torch.empty_like(matrix)
        d_bias, divergence = torch.zeros_like(bias), weight.new_zeros(())
        size = _LOGITS_ON_GPU if weight.is_cuda else _LOGITS
        for piece in _pieces(n + extra, V, size, max(unit, 2 if r_drop else 1)):
            logits = torch.addmm(offset, rows[piece], matrix.t())  # [rows, V]
            if smoothing:
                at[piece] = logits.gather(1, ids[piece]).squeeze(1)
            p = logits.softmax(dim=1)
            p_at[piece] = p.gather(1, ids[piece]).squeeze(1)
            if r_drop:
                divergence += r_drop / 2 * _add_r_drop(logits, p, r_drop / 2)
            if settings.learning:
                torch.mm(p, matrix, out=d_rows[piece])
                beta = float(piece.start > 0)  # with 0, addmm_ ignores the uninitialised memory
                d_matrix.addmm_(p.t(), rows[piece], beta=beta, alpha=scale)
                d_bias += counts[piece] @ p
        # Limit the loss of a token whose probability rounds to 0, to 87 nats in float32.
        log_p = p_at[:n].clamp_min(torch.finfo(p_at.dtype).tiny).log()
        total = scale * ((smoothing - 1) * log_p.sum() + divergence)
        if smoothing:
            sum_of_rows = rows.sum(dim=0, dtype=weight.dtype)
            logits_of_all = sum_of_rows.dot(weight.sum(dim=0)) / V + n * bias.mean()
            total += scale * smoothing * ((at[:n] - log_p).sum() - logits_of_all)
        ctx.mark_non_differentiable(token_nll := -log_p)
        if settings.learning:
            of_p = (d_rows[:n], d_matrix.to(weight.dtype), d_bias * scale)
            d_some, d_weight, d_bias = _subtract_target(of_p, rows[:n], weight, wanted, settings)
            d_some = d_some.mul_(scale).to(readouts.dtype)
            if not whole:
                d_some = torch.zeros_like(readouts).index_copy_(0, index, d_some)
            ctx.save_for_backward(d_some, d_weight, d_bias)
        return total, token_nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_total: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients that `forward` computed, multiplied by `d_total`."""
        gradients = ctx.saved_tensors
        if d_total.is_cuda or float(d_total) != 1:  # float() would wait for a GPU
            gradients = tuple(gradient * d_total.to(gradient.dtype) for gradient in gradients)
        return *gradients, None, None, None


def _subtract_target(
    of_p: tuple[Tensor, Tensor, Tensor],
    rows: Tensor,
    weight: Tensor,
    wanted: Tensor,
    settings: OutputSettings,
) -> tuple[Tensor, Tensor, Tensor]:
    """Subtract the contribution of the target q (see `OutputLoss`) from the gradients `of_p`.

    of_p: The contribution of the prediction p. Its tensors may be overwritten.
    Returns the gradients of the rows [n, E] (before `scale`), the weight [V, E] and the bias [V].
    """
    of_rows, d_weight, d_bias = of_p
    n, V, smoothing, scale = len(rows), len(weight), settings.smoothing, settings.scale
    d_rows = torch.add(of_rows, weight[wanted], alpha=smoothing - 1)
    d_weight.index_add_(0, wanted, rows.to(weight.dtype), alpha=scale * (smoothing - 1))
    d_bias.index_add_(0, wanted, d_bias.new_full((n,), scale * (smoothing - 1)))
    if smoothing:
        d_rows -= smoothing / V * weight.sum(dim=0)
        d_weight -= scale * smoothing / V * rows.sum(dim=0, dtype=weight.dtype)
        d_bias -= scale * smoothing / V * n
    return d_rows, d_weight, d_bias


def _add_r_drop(logits: Tensor, p: Tensor, weight: float) -> Tensor:
    """Return the divergence KL(p₁ ‖ p₂) + KL(p₂ ‖ p₁), summed over tokens, and change p in place.

    The change adds `weight` times the gradient of the divergence with respect to the logits.
    logits, p: [2m, V]. Rows 2i and 2i + 1 are the predictions p₁ and p₂ for the same token.
    """
    total = p.new_zeros((), dtype=softmax_dtype(p))
    size = _LOGITS_ON_GPU if p.is_cuda else _LOGITS_IN_CACHE
    for piece in _pieces(len(p), p.shape[1], size, 2):
        log_p = logits[piece].log_softmax(dim=1, dtype=total.dtype)
        of_first, of_second = log_p.view(-1, 2, p.shape[1]).unbind(dim=1)  # [rows / 2, V]
        first, second = p[piece].view(-1, 2, p.shape[1]).unbind(dim=1)
        ratio = of_first - of_second  # log p₁ / p₂
        forth = (first * ratio).sum(dim=1, keepdim=True)  # KL(p₁ ‖ p₂)
        back = -(second * ratio).sum(dim=1, keepdim=True)
        # new p₁ = p₁ + weight (p₁ (ratio - forth) + p₁ - p₂), rounded to p's dtype only once
        ratio *= weight
        new_first = (ratio + (1 + weight - weight * forth)).mul_(first).sub_(second, alpha=weight)
        new_second = ratio.neg_().add_(1 + weight - weight * back).mul_(second)
        second.copy_(new_second.sub_(first, alpha=weight))
        first.copy_(new_first)
        total += (forth + back).sum()
    return total


def _pieces(rows: int, columns: int, size: int, unit: int) -> list[slice]:
    """Split rows into slices of about `size` logits. Each slice has a multiple of `unit` rows."""
    units = rows // unit
    count = min(max(1, round(rows * columns / size)), max(1, units))
    return [
        slice(first * unit, last * unit)
        for first, last in pairwise(units * i // count for i in range(count + 1))
    ]
