"""The context that moves: c_t = Σ_s α_ts V m_s, with α_t = softmax_s score(q_t, h_s).

q_t is the decoder's query at step t, h_s the encoder's state at position s, m_s what it gives as a
value there. Keys and values are projected once per source. Padding has weight zero, exactly; the
weights of a row sum to one.

Further letters: A, the size of a key; M, of a value before its projection.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.context import Context, PreparedContext
from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import Linear, matmul_as, softmax_dtype, widen_bf16

# Of a cosine at first: e^12 tells one position from all others of a long sentence.
_SHARPNESS = 12.0


class Attention(Context):
    """What all kinds share: a kind says how a key is made, and how a query scores it."""

    def __init__(self, value_size: int, size: int, key: nn.Module) -> None:
        """key: a state [D] → a key [A]."""
        super().__init__(size)
        self.key = key
        self.value = Linear(value_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        return self.key(memory.states), widen_bf16(self.value(memory.values)), memory.mask

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """query [B, T, Q], keys [B, S, A] → scores [B, heads, T, S]."""

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor]:
        """query [N, T, Q] → c [N, T, C], weights [N, T, S] float32, the mean over heads."""
        rows, steps = query.shape[:2]
        keys, values, mask = prepared
        query = query.reshape(
            rows // rows_per_source, rows_per_source * steps, -1
        )  # hypotheses as further steps
        scores = self.scores(query, keys)  # [B, heads, rows_per_source · T, S]
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        weights = scores.softmax(dim=-1, dtype=softmax_dtype(scores))
        heads = weights.shape[1]
        c = matmul_as(weights, _split_heads(values, heads))  # [B, heads, T, C / heads]
        c = c.transpose(1, 2).reshape(rows, steps, self.size)
        return c, weights.mean(dim=1).view(rows, steps, -1)


class AdditiveAttention(Attention):
    """score = v · tanh(W q + U h) (Bahdanau et al. 2015)."""

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(value_size, size, Linear(state_size, size))
        self.query = Linear(query_size, size, bias=False)
        self.score = Linear(size, 1, bias=False)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        joined = torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))  # [B, T, S, A]
        scores: Tensor = self.score(joined)  # [B, T, S, 1]
        return scores.squeeze(3).unsqueeze(1)


class DotAttention(Attention):
    """score = q · h; both have one size (Luong et al. 2015)."""

    def __init__(self, value_size: int, size: int) -> None:
        super().__init__(value_size, size, nn.Identity())

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(query, keys)


class GeneralAttention(Attention):
    """score = q · W h (Luong et al. 2015)."""

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(value_size, size, Linear(state_size, query_size, bias=False))

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(query, keys)


class CosineAttention(GeneralAttention):
    """score = g cos(q, W h), g learned (Graves et al. 2014, 3.3.1; Henry et al. 2020).

    A general score has no bounds: with a large learning rate it grows until each query looks at one
    position alone, through which no gradient finds another.
    """

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(state_size, value_size, query_size, size)
        self.sharpness = nn.Parameter(torch.tensor([_SHARPNESS]))

    def prepare(self, memory: Memory) -> PreparedContext:
        keys, values, mask = super().prepare(memory)
        return F.normalize(widen_bf16(keys), dim=-1), values, mask

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(F.normalize(widen_bf16(query), dim=-1) * self.sharpness, keys)


class MultiHeadAttention(Attention):
    """score_k = (W_k q) · (U_k h) / sqrt(A / heads), a weighted mean for each head k; c is the
    means side by side (Vaswani et al. 2017)."""

    def __init__(
        self, state_size: int, value_size: int, query_size: int, size: int, heads: int
    ) -> None:
        # No bias in U: it would add the same to all scores of a query, and softmax takes that away.
        super().__init__(value_size, size, Linear(state_size, size, bias=False))
        self.heads = heads
        self.query = Linear(query_size, size)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        scaled = self.query(query) * (self.size // self.heads) ** -0.5
        keys = _split_heads(widen_bf16(keys), self.heads)
        return matmul_as(_split_heads(scaled, self.heads), keys.transpose(2, 3))


def _dot_products(query: Tensor, keys: Tensor) -> Tensor:
    """query [B, T, A], keys [B, S, A] → [B, 1, T, S]."""
    return matmul_as(query, widen_bf16(keys).transpose(1, 2)).unsqueeze(1)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """[B, T, F] → [B, heads, T, F / heads]."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
