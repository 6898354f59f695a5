"""Encoders of a single label or vector (1 vs N). Its context is the same at every decoder step.

The forward pass of both encoders takes tokens [B, S] int64 and lengths [B] int64. It returns a
`Memory` with S = 1. Both ignore the tokens of a row that follow the label or the vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from seq2seq.nn.encoder import Memory

_SLOPE = 4.0  # standard deviation of the first weights of a VectorEncoder


class LabelEncoder(nn.Module):
    """An encoder of a label: c = tanh(W e + b), where e is the embedding of the label.

    Args:
        labels: Number of labels.
        embedding: E, the size of a label's embedding.
        context_size: C, the size of the context.
    """

    def __init__(self, labels: int, embedding: int, context_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, embedding)
        self.project = nn.Linear(embedding, context_size)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        """Encode the label in the first column of tokens [B, S] int64. `lengths` is not used."""
        return _memory(self.project(self.embedding(tokens[:, 0])).tanh())


class VectorEncoder(nn.Module):
    """An encoder of a vector x: c = tanh(W tanh(U x + a) + b).

    The vector x is the first `numbers` tokens of a row, multiplied by `unit`.

    At initialisation, each row of U x + a is zero on a plane. The plane has a random direction and
    passes through a random point of the unit cube. The weights are large, so that tanh separates
    the two sides of the plane. With PyTorch's small initial weights, the network would learn
    functions that are nearly linear in x first, and fine details late (Tancik et al. 2020).

    Args:
        numbers: Number of components of a vector.
        unit: The value of a component whose token is 1.
        hidden: Number of rows of U.
        context_size: C, the size of the context.
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
        """Encode the vector in the first columns of tokens [B, S] int64. `lengths` is not used."""
        x = tokens[:, : self.numbers].to(self.hidden.weight.dtype) * self.unit
        return _memory(self.project(self.hidden(x).tanh()).tanh())


def _memory(summary: Tensor) -> Memory:
    """Return a `Memory` of S = 1 whose only state is summary [B, C]."""
    states = summary.unsqueeze(1)  # [B, 1, C]
    mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    return Memory(states, mask, summary, states)
