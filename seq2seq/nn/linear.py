"""Matrix products whose number of rows is rounded up by padding, so that few shapes occur.

On a CPU, the first bf16 product of a new shape is slow. `runtime.row_multiple` explains why.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq import runtime


class Linear(nn.Linear):
    """A torch.nn.Linear that pads its rows like the function `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x Wᵀ + b, [..., O] with O output features.

        x: The inputs, [..., I] with I input features.
        """
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return x Wᵀ + b, [..., O], like torch.nn.functional.linear.

    The rows of x are padded to a multiple of `runtime.row_multiple`. The result has no padding.
    x: The inputs, [..., I].
    weight: W, [O, I].
    bias: b, [O], or None for no bias.
    """
    rows = x.shape[:-1].numel()
    extra = -rows % runtime.row_multiple(weight, runtime.matmul_dtype(weight))
    if not extra:
        return F.linear(x, weight, bias)
    padded = F.pad(x.reshape(rows, -1), (0, 0, 0, extra))
    return F.linear(padded, weight, bias)[:rows].view(*x.shape[:-1], -1)


def linear_with_context(x: Tensor, c: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Apply `linear` to the concatenation [x ; c] and return [N, T, O].

    Args:
        x: Inputs, [N, T, I].
        c: Context vectors, [N, T, C], or [N, 1, C] if c is the same at every step. In the second
            case, c is multiplied by the weight only once.
        weight: The weight matrix, [O, I + C].
        bias: The bias, [O].

    If x and c are both time-major, [T, N, …], the result is time-major, too.
    """
    if c.shape[:-1] == x.shape[:-1]:
        return linear(torch.cat([x, c.to(x.dtype)], dim=-1), weight, bias)
    of_x, of_c = torch.split(weight, [x.shape[-1], c.shape[-1]], dim=1)
    return linear(x, of_x, None) + linear(c, of_c, bias)


def widen_bf16(x: Tensor) -> Tensor:
    """Convert a bf16 tensor on a CPU to float32. Other tensors are returned unchanged.

    Batched matrix products of attention have a new shape in almost every batch. On a CPU, the first
    bf16 product of a new shape is slow (see `runtime.row_multiple`), so float32 is faster there.
    """
    return x.float() if x.device.type == "cpu" and x.dtype == torch.bfloat16 else x


def softmax_dtype(x: Tensor) -> torch.dtype:
    """Return the dtype for a softmax over x: float64 for float64, otherwise float32."""
    return torch.promote_types(x.dtype, torch.float32)


def matmul_as(left: Tensor, right: Tensor) -> Tensor:
    """Return the matrix product left @ right, computed in the dtype of `right`."""
    with torch.autocast(left.device.type, enabled=False):
        return left.to(right.dtype) @ right
