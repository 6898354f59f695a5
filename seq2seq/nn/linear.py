"""W x + b over rows of any number."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq import runtime


class Linear(nn.Linear):
    """torch.nn.Linear, which makes few different shapes of products: see `runtime.unit_of_rows`."""

    def forward(self, x: Tensor) -> Tensor:
        """x [..., I] → [..., O]."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [..., I], weight [O, I], bias [O] → [..., O], as torch.nn.functional.linear."""
    rows = x.shape[:-1].numel()
    extra = -rows % runtime.unit_of_rows(weight)
    if not extra:
        return F.linear(x, weight, bias)
    padded = F.pad(x.reshape(rows, -1), (0, 0, 0, extra))
    return F.linear(padded, weight, bias)[:rows].view(*x.shape[:-1], -1)
