"""Attention computes a different context vector c_t at every decoder step t.

c_t = Σ_s α_ts V m_s, with the attention weights α_t = softmax_s score(q_t, h_s). Here q_t is the
decoder's query at step t, h_s is the encoder's state at position s, m_s is the encoder's value at
position s, and V is a learned projection. The weights of one query sum to one. Padding has a weight
of exactly zero.

The score is computed from a key instead of the state h_s. The keys and the projected values are
computed only once per source.

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

    A subclass passes the module that computes the keys, and implements the method `scores`.

    Args:
        value_size: M, the size of a value.
        size: C, the size of a context vector.
        key: The module that turns an encoder state [..., D] into a key [..., A].
    """

    def __init__(self, value_size: int, size: int, key: nn.Module) -> None:
        super().__init__(size)
        self.key = key
        self.value = Linear(value_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the keys, the projected values and the mask of B sources.

        The keys are [B, S, A], the values [B, S, C], and the mask [B, S] bool.
        """
        return self.key(memory.states), widen_bf16(self.value(memory.values)), memory.mask

    @abstractmethod
    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return the score of each query with each key, [B, heads, T, S].

        query: The queries, [B, T, Q].
        keys: The keys, [B, S, A].
        """

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor]:
        """Return the context vector and the attention weights of every query.

        Args:
            prepared: The result of `prepare` for B sources.
            query: The queries, [N, T, Q], where N = rows_per_source · B.
            rows_per_source: Number of consecutive rows that belong to the same source.

        Returns a tuple:
        - the context vectors, [N, T, C]
        - the attention weights, averaged over the heads, [N, T, S] in float32 or float64
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
    """Additive attention: score(q, h) = v · tanh(W q + U h) (Bahdanau et al. 2015).

    q is the decoder's query and h is the encoder's state.
    """

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(value_size, size, Linear(state_size, size))
        self.query = Linear(query_size, size, bias=False)
        self.score = Linear(size, 1, bias=False)

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        joined = torch.tanh(self.query(query).unsqueeze(2) + keys.unsqueeze(1))  # [B, T, S, A]
        scores: Tensor = self.score(joined)  # [B, T, S, 1]
        return scores.squeeze(3).unsqueeze(1)


class DotAttention(Attention):
    """Dot-product attention: score(q, h) = q · h (Luong et al. 2015).

    The decoder's query q and the encoder's state h must have the same size.
    """

    def __init__(self, value_size: int, size: int) -> None:
        super().__init__(value_size, size, nn.Identity())

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(query, keys)


class GeneralAttention(Attention):
    """General attention: score(q, h) = q · W h (Luong et al. 2015).

    q is the decoder's query and h is the encoder's state.
    """

    def __init__(self, state_size: int, value_size: int, query_size: int, size: int) -> None:
        super().__init__(value_size, size, Linear(state_size, query_size, bias=False))

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(query, keys)


class CosineAttention(GeneralAttention):
    """Cosine attention: score(q, h) = g cos(q, W h).

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
        """Return the keys, the projected values and the mask of B sources.

        The keys [B, S, A] have length 1. The values are [B, S, C], and the mask is [B, S] bool.
        """
        keys, values, mask = super().prepare(memory)
        return F.normalize(widen_bf16(keys), dim=-1), values, mask

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        return _dot_products(F.normalize(widen_bf16(query), dim=-1) * self.sharpness, keys)


class MultiHeadAttention(Attention):
    """Multi-head attention (Vaswani et al. 2017).

    The score of head k for the query q and the encoder's state h is
    (W_k q) · (U_k h) / sqrt(A / heads).
    Each head computes its own weighted mean of the values. The context vector is the concatenation
    of these means.
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
    """Return the dot product of each query with each key, [B, 1, T, S].

    query: The queries, [B, T, A].
    keys: The keys, [B, S, A].
    """
    return matmul_as(query, widen_bf16(keys).transpose(1, 2)).unsqueeze(1)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)
