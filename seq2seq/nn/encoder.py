"""The encoder: a recurrent stack over the source, and the pooling of its states."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.linear import Linear, matmul_as, softmax_dtype, widen_bf16
from seq2seq.nn.recurrent import RecurrentStack


@dataclass(frozen=True)
class Memory:
    """What a decoder may know of the source.

    states [B, S, D] (zero over padding), mask [B, S] bool (true where there is a token),
    summary [B, C], values [B, S, M] (zero over padding): what means are taken of, by attention and
    by pooling.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    values: Tensor


def token_mask(lengths: Tensor, size: int) -> Tensor:
    """lengths [B] → [B, size] bool, true where there is a token."""
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


class Pooling(nn.Module):
    """states [B, S, D], values [B, S, M] → summary [B, C], over real tokens alone, then
    tanh(norm(W · pooled + b)).

    - last: the last state of each direction (Sutskever et al. 2014; Cho et al. 2014)
    - max: of the states over time, each feature by itself
    - mean: of the values over time
    - attentive: `heads` weighted means of the values, with weights softmax_s(v_k · tanh(W h_s)):
      attention with learned queries instead of a decoder's (Lin et al. 2017)

    norm: over the C features (Ba et al. 2016). A feature of many heads is made of thousands of
    weights, and Adam moves all of them in every step: without it tanh is soon at its ends.
    """

    def __init__(
        self,
        kind: str,
        state_size: int,
        value_size: int,
        size: int,
        *,
        heads: int,
        bidirectional: bool,
    ) -> None:
        super().__init__()
        self.kind, self.bidirectional = kind, bidirectional
        pooled = {"mean": value_size, "attentive": value_size * heads}.get(kind, state_size)
        self.project = nn.Linear(pooled, size)
        self.norm = nn.LayerNorm(size)
        if kind == "attentive":
            self.key = Linear(state_size, state_size)
            self.queries = Linear(state_size, heads, bias=False)

    def forward(self, states: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        match self.kind:
            case "last":
                pooled = self.last(states, mask)
            case "max":
                pooled = states.masked_fill(~mask.unsqueeze(2), float("-inf")).amax(dim=1)
            case "mean":
                total = values.masked_fill(~mask.unsqueeze(2), 0).sum(dim=1)
                pooled = total / mask.sum(dim=1, keepdim=True)
            case _:
                pooled = self.attentive(states, values, mask)
        summary: Tensor = self.norm(self.project(pooled)).tanh()  # [B, C]
        return summary

    def last(self, states: Tensor, mask: Tensor) -> Tensor:
        """states [B, S, D], mask [B, S] → [B, D]: what each direction has at its own end."""
        end = mask.sum(dim=1).sub(1).view(-1, 1, 1).expand(-1, 1, states.shape[2])  # [B, 1, D]
        final: Tensor = states.gather(1, end).squeeze(1)  # [B, D]
        if not self.bidirectional:
            return final
        half = states.shape[2] // 2
        return torch.cat([final[:, :half], states[:, 0, half:]], dim=-1)

    def attentive(self, states: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """states [B, S, D], values [B, S, M], mask [B, S] → [B, heads · M]: a mean of the values
        for each head, weighted as said above."""
        scores: Tensor = self.queries(torch.tanh(self.key(states)))  # [B, S, heads]
        scores = scores.masked_fill(~mask.unsqueeze(2), float("-inf"))
        weights = scores.softmax(dim=1, dtype=softmax_dtype(scores))
        pooled = matmul_as(weights.transpose(1, 2), widen_bf16(values))  # [B, heads, M]
        return pooled.flatten(1).to(states.dtype)


class Encoder(nn.Module):
    """tokens [B, S] int64, lengths [B] int64 → Memory. Every length is from 1 to S.

    Embeddings x_s are read times √E (Vaswani et al. 2017, 3.4): a matrix that is small enough for a
    tied output is too small beside the states. Values: the states h_s, or with `shortcut`
    [h_s ; x_s], so that what a word is reaches the output beside what it is in its sentence
    (Nguyen and Chiang 2018).
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        *,
        cell: str,
        hidden: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
        embedding_dropout: float,
        variational: bool,
        layer_norm: bool = False,
        pooling: str,
        heads: int,
        context_size: int,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.shortcut = shortcut
        self.embedding_dropout = SequenceDropout(embedding_dropout, variational)
        self.stack = RecurrentStack(
            cell,
            embedding.embedding_dim,
            hidden,
            layers,
            bidirectional=bidirectional,
            dropout=dropout,
            variational=variational,
            layer_norm=layer_norm,
        )
        self.dropout = SequenceDropout(dropout, variational)
        self.pooling = Pooling(
            pooling,
            self.stack.output_size,
            self.stack.output_size + (embedding.embedding_dim if shortcut else 0),
            context_size,
            heads=heads,
            bidirectional=bidirectional,
        )

    def forward(self, tokens: Tensor, lengths: Tensor) -> Memory:
        mask = token_mask(lengths, tokens.shape[1])  # [B, S]
        embedded = self.embedding(tokens) * self.embedding.embedding_dim**0.5
        embedded = self.embedding_dropout(embedded)  # [B, S, E]
        states, _ = self.stack(embedded, lengths=lengths)  # [B, S, D]
        states = self.dropout(states).masked_fill(~mask.unsqueeze(2), 0)
        values = states
        if self.shortcut:
            embedded = embedded.masked_fill(~mask.unsqueeze(2), 0)
            values = torch.cat([states, embedded.to(states.dtype)], dim=2)
        return Memory(states, mask, self.pooling(states, values, mask), values)
