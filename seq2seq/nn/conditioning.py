"""Encoders of a single label or vector. They give all decoder steps the same context.

Both encoders take the token ids of the sources, [B, S] int64, and return a `Memory` with S = 1.
They read only the first tokens of a row: the label, or the components of the vector. They ignore
any further tokens and the argument `lengths`.
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
        context_size: C, the size of the context vector c.
    """

    def __init__(self, labels: int, embedding: int, context_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(labels, embedding)
        self.project = nn.Linear(embedding, context_size)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        """Encode the label in the first column of `tokens`.

        tokens: The token ids, [B, S] int64.
        lengths: Not used.
        """
        return _memory(self.project(self.embedding(tokens[:, 0])).tanh())


class VectorEncoder(nn.Module):
    """An encoder of a vector x: c = tanh(W tanh(U x + a) + b).

    The components of x are the first `numbers` tokens of a row, each multiplied by `unit`.

    At initialisation, each component of U x + a is zero on a plane with a random direction, which
    passes through a random point of the unit cube. U is large, so that tanh separates the two sides
    of the plane. With PyTorch's small initial weights, the network would first learn functions that
    are nearly linear in x, and learn fine details only late (Tancik et al. 2020).

    Args:
        numbers: Number of components of a vector.
        unit: The value of a component whose token is 1.
        hidden: Number of rows of U.
        context_size: C, the size of the context vector c.
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
        """Encode the vector in the first columns of `tokens`.

        tokens: The token ids, [B, S] int64.
        lengths: Not used.
        """
        x = tokens[:, : self.numbers].to(self.hidden.weight.dtype) * self.unit
        return _memory(self.project(self.hidden(x).tanh()).tanh())


def _memory(summary: Tensor) -> Memory:
    """Return a `Memory` with S = 1, whose only state is the summary.

    summary: [B, C].
    """
    states = summary.unsqueeze(1)  # [B, 1, C]
    mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
    return Memory(states, mask, summary, states)
