"""Attention: a context that differs at every decoder step.

c_t = Σ_s α_ts V m_s, with α_t = softmax_s score(q_t, h_s). Here q_t is the decoder's query at step
t, h_s is the encoder's state at position s, m_s is the encoder's value at position s, and V is a
learned projection. Keys and values are projected once per source. Padding gets a weight of exactly
zero. The weights of one query sum to one.

Further letters in shapes:
Q: size of a query
A: size of a key
M: size of a value before its projection
"""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.context import Context, PreparedContext
from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import Linear, matmul_as, softmax_dtype, widen_bf16

# The initial factor of a cosine score. With it, softmax can give nearly all weight to one position,
# even in a long sentence: a cosine of 1 weighs e^12 times as much as a cosine of 0.
_SHARPNESS = 12.0


class Attention(Context):
    """The base class of all kinds of attention.

    A subclass passes the projection of the keys and defines how a query scores a key.

    Args:
        value_size: M, the size of a value.
        size: C, the size of the context.
        key: The module that turns an encoder state [..., D] into a key [..., A].
    """

    def __init__(self, value_size: int, size: int, key: nn.Module) -> None:
        super().__init__(size)
        self.key = key
        self.value = Linear(value_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the keys [B, S, A], the projected values [B, S, C] and the mask [B, S]."""
        return self.key(memory.states), widen_bf16(self.value(memory.values)), memory.mask

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the scores [B, heads, T, S] of query [B, T, Q] and keys [B, S, A]."""

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor]:
        """Return the context and the attention weights of every query.

        Args:
            prepared: The result of `prepare` for B sources.
            query: [N, T, Q], where N = rows_per_source · B.
            rows_per_source: Number of neighbouring rows that share one source.

        Returns:
            c [N, T, C] and the weights [N, T, S], averaged over the heads, in float32 or wider.
        """
        rows, steps = query.shape[:2]
        keys, values, mask = prepared
        # Treat the hypotheses of a source as further steps, so that its keys are not copied.
        query = query.reshape(rows // rows_per_source, rows_per_source * steps, -1)
        scores = self.scores(query, keys)  # [B, heads, rows_per_source · T, S]
        scores = scores.masked_fill(~mask[:, None, None, :], float("-inf"))
        weights = scores.softmax(dim=-1, dtype=softmax_dtype(scores))
        heads = weights.shape[1]
        c = matmul_as(weights, _split_heads(values, heads))  # [B, heads, T, C / heads]
        c = c.transpose(1, 2).reshape(rows, steps, self.size)
        return c, weights.mean(dim=1).view(rows, steps, -1)


class AdditiveAttention(Attention):
    """Additive attention: score = v · tanh(W q + U h) (Bahdanau et al. 2015)."""

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(value_size, size, Linear(state_size, size))
        self.query = Linear(query_size, size, bias=False)
        self.score = Linear(size, 1, bias=False)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        joined = torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))  # [B, T, S, A]
        scores: Tensor = self.score(joined)  # [B, T, S, 1]
        return scores.squeeze(3).unsqueeze(1)


class DotAttention(Attention):
    """Dot-product attention: score = q · h (Luong et al. 2015).

    Queries and encoder states must have the same size.
    """

    def __init__(self, value_size: int, size: int) -> None:
        super().__init__(value_size, size, nn.Identity())

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(query, keys)


class GeneralAttention(Attention):
    """General attention: score = q · W h (Luong et al. 2015)."""

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(value_size, size, Linear(state_size, query_size, bias=False))

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(query, keys)


class CosineAttention(GeneralAttention):
    """Cosine attention: score = g cos(q, W h).

    Papers: Graves et al. 2014, section 3.3.1; Henry et al. 2020.

    The factor g is learned. The score stays between -g and g, whereas the score of general
    attention has no bounds. With a large learning rate, an unbounded score grows until each query
    attends to a single position. The gradient then vanishes, and the query cannot learn to attend
    to another position.
    """

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(state_size, value_size, query_size, size)
        self.sharpness = nn.Parameter(torch.tensor([_SHARPNESS]))

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the keys of unit length [B, S, A], the values [B, S, C] and the mask [B, S]."""
        keys, values, mask = super().prepare(memory)
        return F.normalize(widen_bf16(keys), dim=-1), values, mask

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(F.normalize(widen_bf16(query), dim=-1) * self.sharpness, keys)


class MultiHeadAttention(Attention):
    """Multi-head attention (Vaswani et al. 2017).

    The score of head k is (W_k q) · (U_k h) / sqrt(A / heads). Each head computes its own weighted
    mean of the values. The context c is the concatenation of these means.
    """

    def __init__(
        self, state_size: int, value_size: int, query_size: int, size: int, heads: int
    ) -> None:
        # U needs no bias. A bias would add the same number to all scores of a query, and softmax
        # does not change when all its inputs grow by the same number.
        super().__init__(value_size, size, Linear(state_size, size, bias=False))
        self.heads = heads
        self.query = Linear(query_size, size)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        scaled = self.query(query) * (self.size // self.heads) ** -0.5
        keys = _split_heads(widen_bf16(keys), self.heads)
        return matmul_as(_split_heads(scaled, self.heads), keys.transpose(2, 3))


def _dot_products(query: Tensor, keys: Tensor) -> Tensor:
    """Return the dot products [B, 1, T, S] of query [B, T, A] and keys [B, S, A]."""
    return matmul_as(query, widen_bf16(keys).transpose(1, 2)).unsqueeze(1)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """Split the features of x [B, T, F] into heads. Returns [B, heads, T, F / heads]."""
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
