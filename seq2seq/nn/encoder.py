"""The encoder: a recurrent stack that reads the source, and pooling of its states to a summary."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.linear import Linear, matmul_as, softmax_dtype, widen_bf16
from seq2seq.nn.recurrent import RecurrentStack


@dataclass(frozen=True)
class Memory:
    """The encoded sources of a batch, which the decoder reads.

    Attributes:
        states: The encoder's states, [B, S, D]. States of padding are zero.
        mask: True at tokens and false at padding, [B, S] bool.
        summary: The summary of each source, [B, C].
        values: The vectors that attention and pooling average, [B, S, M]. M is the size of a value.
            Values of padding are zero.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    values: Tensor


def token_mask(lengths: Tensor, size: int) -> Tensor:
    """Return a mask that is true at tokens and false at padding, [B, size] bool.

    lengths: The number of tokens in each row, [B] int64.
    """
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


class Pooling(nn.Module):
    """Pooling of the encoder's states into one summary per source: tanh(norm(W · pooled + b)).

    Padding is ignored. `kind` selects how the vector `pooled` is computed from the states h_s and
    the values of the source. `Encoder` explains the values.

    - last: the last state of each direction (Sutskever et al. 2014; Cho et al. 2014)
    - max: the maximum of each feature of the states over time
    - mean: the mean of the values over time
    - attentive: the concatenation of `heads` weighted means of the values. The weights of head k
      are softmax_s(v_k · tanh(W h_s)). This is attention with the learned queries v_k instead of
      the decoder's queries (Lin et al. 2017).

    `norm` is layer normalisation over the C features (Ba et al. 2016), which keeps tanh from
    saturating. With many heads, each feature depends on thousands of weights. Adam changes all of
    these weights in every update, so the input of tanh would otherwise grow too fast.

    Args:
        kind: One of the kinds above.
        state_size: D, the size of a state.
        value_size: M, the size of a value.
        size: C, the size of the summary.
        heads: Number of heads of attentive pooling. The other kinds ignore this argument.
        bidirectional: True if the second half of each state comes from the backward direction.
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
        """Return the summary of each source, [B, C].

        states: The encoder's states, [B, S, D].
        values: The values, [B, S, M].
        mask: True at tokens, [B, S] bool. Every row has at least one token.
        """
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
        """Return the final state of each direction, concatenated to [B, D].

        The forward direction ends at the last token. The backward direction ends at the first
        token.
        states: The encoder's states, [B, S, D].
        mask: True at tokens, [B, S] bool.
        """
        end = mask.sum(dim=1).sub(1).view(-1, 1, 1).expand(-1, 1, states.shape[2])  # [B, 1, D]
        final: Tensor = states.gather(1, end).squeeze(1)  # [B, D]
        if not self.bidirectional:
            return final
        half = states.shape[2] // 2
        return torch.cat([final[:, :half], states[:, 0, half:]], dim=-1)

    def attentive(self, states: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Return one weighted mean of the values for each head, concatenated to [B, heads · M].

        The docstring of `Pooling` defines the weights.
        states: The encoder's states, [B, S, D].
        values: The values, [B, S, M].
        mask: True at tokens, [B, S] bool.
        """
        scores: Tensor = self.queries(torch.tanh(self.key(states)))  # [B, S, heads]
        scores = scores.masked_fill(~mask.unsqueeze(2), float("-inf"))
        weights = scores.softmax(dim=1, dtype=softmax_dtype(scores))
        pooled = matmul_as(weights.transpose(1, 2), widen_bf16(values))  # [B, heads, M]
        return pooled.flatten(1).to(states.dtype)


class Encoder(nn.Module):
    """A recurrent encoder: embeddings, a stack of recurrent layers and pooling.

    The embeddings x_s are multiplied by √E (Vaswani et al. 2017, section 3.4). A tied output layer
    needs an embedding matrix with small numbers. Without the factor, the embeddings would be too
    small compared to the recurrent states.

    Args:
        embedding: The embeddings of the source tokens, [V, E].
        embedding_dropout: Dropout rate of the embeddings.
        pooling: The kind of pooling, see `Pooling`.
        heads: Number of heads of attentive pooling.
        context_size: C, the size of the summary.
        features: Number of different features of the source, or 0. Features have embeddings of
            their own.
        features_per_word: Each token has features. The sum of their embeddings is added to the
            embedding of the token (Sennrich and Haddow 2016 concatenate them). Otherwise, features
            stand in front of the tokens, and their ids follow those of the vocabulary.
        shortcut: Use [h_s ; x_s] as the values instead of the states h_s. The decoder then sees the
            embedding of each token as well as its state (Nguyen and Chiang 2018).

    `RecurrentStack` explains the other arguments.
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
        features: int = 0,
        features_per_word: bool = False,
        shortcut: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.features_per_word = features_per_word
        self.features: nn.Embedding | None = None
        if features:
            size = embedding.embedding_dim
            padding = 0 if features_per_word else None
            self.features = nn.Embedding(features + features_per_word, size, padding_idx=padding)
            nn.init.normal_(self.features.weight, std=size**-0.5)
            if features_per_word:
                nn.init.zeros_(self.features.weight[0].data)
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
        """Encode the sources of a batch.

        tokens: The ids of features and tokens, [B, S] int64. If tokens have features, [B, S, 1 + K]
            int64. The K features of a token follow its id, and 0 stands for no feature.
        lengths: The number of tokens in each row, from 1 to S, [B] int64.
        """
        mask = token_mask(lengths, tokens.shape[1])  # [B, S]
        embedded = self._embed(tokens) * self.embedding.embedding_dim**0.5
        embedded = self.embedding_dropout(embedded)  # [B, S, E]
        states, _ = self.stack(embedded, lengths=lengths)  # [B, S, D]
        states = self.dropout(states).masked_fill(~mask.unsqueeze(2), 0)
        values = states
        if self.shortcut:
            embedded = embedded.masked_fill(~mask.unsqueeze(2), 0)
            values = torch.cat([states, embedded.to(states.dtype)], dim=2)
        return Memory(states, mask, self.pooling(states, values, mask), values)

    def _embed(self, tokens: Tensor) -> Tensor:
        """Return the embeddings of the tokens and of their features, [B, S, E]."""
        embedded: Tensor
        if self.features is None:
            embedded = self.embedding(tokens)
        elif self.features_per_word:
            embedded = self.embedding(tokens[:, :, 0]) + self.features(tokens[:, :, 1:]).sum(dim=2)
        else:
            number = tokens - self.embedding.num_embeddings  # of the feature, below 0 for a token
            features = self.features(number.clamp(min=0))
            words = self.embedding(tokens.clamp(max=self.embedding.num_embeddings - 1))
            embedded = torch.where((number >= 0).unsqueeze(2), features, words)
        return embedded
