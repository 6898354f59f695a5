"""1 vs N: a single input in the place of a source, fed at every step as a fixed context.

Both are encoders: tokens [B, S] int64, lengths [B] → Memory, of S = 1; what stands behind the input
in a row is not looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.nn.encoder import Memory

_SLOPE = 4.0


class LabelEncoder(nn.Module):
    """c = tanh(W e + b), e the embedding of the label."""

    def __init__(self, labels: int, embedding: int, context_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, embedding)
        self.project = nn.Linear(embedding, context_size)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        return _memory(self.project(self.embedding(tokens[:, 0])).tanh())


class VectorEncoder(nn.Module):
    """c = tanh(W tanh(U x + a) + b), x the first `numbers` tokens of a row, in `unit`.

    U x + a starts as planes of all directions through random points of the unit cube, each with a
    slope that parts the cube: from torch's own small weights, a network learns of few numbers what
    is nearly linear in them, and the finer the later (Tancik et al. 2020).
    """

    def __init__(self, numbers: int, unit: float, hidden: int, context_size: int) -> None:
        super().__init__()
        self.numbers, self.unit = numbers, unit
        self.hidden = nn.Linear(numbers, hidden)
        nn.init.normal_(self.hidden.weight, std=_SLOPE)
        planes, through = self.hidden.weight.data, torch.rand(hidden, numbers)
        self.hidden.bias.data = -(planes * through).sum(dim=1)
        self.project = nn.Linear(hidden, context_size)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        x = tokens[:, : self.numbers].to(self.hidden.weight.dtype) * self.unit
        return _memory(self.project(self.hidden(x).tanh()).tanh())


def _memory(summary: Tensor) -> Memory:
    states = summary.unsqueeze(1)  # [B, 1, C]
    mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    return Memory(states, mask, summary, states)
