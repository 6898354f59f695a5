"""Matrix products over rows of any number, in few shapes: see `runtime.row_multiple`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq import runtime


class Linear(nn.Linear):
    """torch.nn.Linear, which makes few different shapes of products: see `runtime.row_multiple`."""

    def forward(self, x: Tensor) -> Tensor:
        """x [..., I] → [..., O]."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., I], weight [O, I], bias [O] → [..., O], as torch.nn.functional.linear."""
    rows = x.shape[:-1].numel()
    extra = -rows % runtime.row_multiple(weight, runtime.matmul_dtype(weight))
    if not extra:
        return F.linear(x, weight, bias)
    padded = F.pad(x.reshape(rows, -1), (0, 0, 0, extra))
    return F.linear(padded, weight, bias)[:rows].view(*x.shape[:-1], -1)


def linear_with_context(x: Tensor, c: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`linear` of [x ; c]: x [N, T, I], c [N, T, C], weight [O, I + C] → [N, T, O], or all with T
    first. A c with T = 1 is the same at every step, and multiplied once."""
    if c.shape[:-1] == x.shape[:-1]:
        return linear(torch.cat([x, c.to(x.dtype)], dim=-1), weight, bias)
    of_x, of_c = torch.split(weight, [x.shape[-1], c.shape[-1]], dim=1)
    return linear(x, of_x, None) + linear(c, of_c, bias)


def widen_bf16(x: Tensor) -> Tensor:
    """Batched products have a shape for each batch, which bf16 on a CPU makes slow at first sight
    (`runtime.row_multiple`), and are few: there, in float32."""
    return x.float() if x.device.type == "cpu" and x.dtype == torch.bfloat16 else x


def softmax_dtype(x: Tensor) -> torch.dtype:
    """What a softmax over x is taken in: float64 stays."""
    return torch.promote_types(x.dtype, torch.float32)


def matmul_as(left: Tensor, right: Tensor) -> Tensor:
    """The matrix product, in the dtype of `other`."""
    with torch.autocast(left.device.type, enabled=False):
        return left.to(right.dtype) @ right
