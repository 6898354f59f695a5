"""The decoder (Cho et al. 2014): h_t = f(h_{t-1}, y_{t-1}, c_t), p(y_t) = g(h_t, y_{t-1}, c_t).

h_t is the recurrent state, y_t the target token and c_t the context vector at step t. Attention
computes c_t from a query q_t, which is a state h1 of the first layer. There are two placements:

- parallel: q_t = h1_t. The output layer and all recurrent layers except the first receive c_t. No
  query depends on an earlier context vector, so each layer processes the whole target in one fused
  call.
- classic: q_t = h1_{t-1}. The output layer and all recurrent layers receive c_t (Bahdanau et al.
  2015). The query depends on c_{t-1}, so the decoder must process one step after the other.

If c_t does not depend on a query, the output layer and all recurrent layers receive c_t, and both
placements give the same network. Without a source, there is no context vector, and the decoder is a
language model.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.nn.context import Context
from seq2seq.nn.decoder_state import DecoderState
from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import linear_with_context, softmax_dtype
from seq2seq.nn.recurrent import LayerState, RecurrentStack


class Decoder(nn.Module):
    """A recurrent decoder: a stack of recurrent layers, a context and an output layer.

    The initial state is computed from the summary of the source. At every step, the output layer
    and all recurrent layers receive the context vector c_t. With parallel attention, the first
    layer does not receive c_t, because this layer provides the query.

    The readout is r_t = tanh(W [h_t ; y_{t-1} ; c_t] + b), where h_t is the state of the last layer
    and y_{t-1} is the embedding of the previous token. r_t has the size of an embedding. The logits
    are O r_t + o. Without a source, the initial state is zero and r_t = h_t.

    Args:
        embedding: The embeddings of the target tokens, [V, E].
        context: The module that computes c_t. Its size must be that of the encoder's summary.
        embedding_dropout: Dropout rate of the embeddings.
        tied: Use the embedding matrix as O (Press and Wolf 2017).
        classic: Use the classic placement of attention instead of the parallel placement.
        bidirectional: Read the target in both directions. This is possible only without a source.
            The decoder then sees the tokens that it predicts, so it cannot generate text.

    `RecurrentStack` explains the other arguments.

    Attributes:
        is_mixture: True for a decoder whose predictions are not a softmax of logits. The training
            loss of such a decoder comes from `predict`, and that of the others from `read`.
    """

    is_mixture = False

    def __init__(
        self,
        embedding: nn.Embedding,
        context: Context,
        *,
        cell: str,
        hidden: int,
        layers: int,
        dropout: float,
        embedding_dropout: float,
        variational: bool,
        tied: bool,
        classic: bool = False,
        bidirectional: bool = False,
        weight_dropout: float = 0.0,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        size = embedding.embedding_dim
        self.embedding = embedding
        self.context = context
        self.classic = classic and not context.query_independent
        self.embedding_dropout = SequenceDropout(embedding_dropout, variational)
        self.stack = RecurrentStack(
            cell,
            size,
            hidden,
            layers,
            context_size=context.fed_size,
            first_fed=classic or context.query_independent,
            dropout=dropout,
            variational=variational,
            bidirectional=bidirectional,
            weight_dropout=weight_dropout,
            layer_norm=layer_norm,
        )
        self.hidden, self.parts = hidden, 2 if cell == "lstm" else 1
        self.dropout = SequenceDropout(dropout, variational)
        if context.size:
            self.bridge = nn.Linear(context.size, layers * self.parts * hidden)
            self.readout = nn.Linear(hidden + size + context.size, size)
        else:
            size = self.stack.output_size
        self.output = nn.Linear(size, embedding.num_embeddings)
        if tied:
            self.output.weight = embedding.weight
        nn.init.zeros_(self.output.bias)

    def _initial_state(self, summary: Tensor) -> list[LayerState]:
        """Return the state of every layer before the first step: tanh(W · summary + b).

        The state of a layer consists of tensors [B, H].
        summary: The summaries of the sources, [B, C].
        """
        first = torch.tanh(self.bridge(summary)).chunk(
            len(self.stack.forwards) * self.parts, dim=-1
        )
        return [
            tuple(first[start : start + self.parts]) for start in range(0, len(first), self.parts)
        ]

    def read(
        self, state: DecoderState, tokens: Tensor
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Run the decoder over T given tokens. Both training and search use this method.

        Args:
            state: The state before the first of these tokens.
            tokens: The token ids, [N, T] int64. The first token of a target is BOS.

        Returns a tuple:
        - the readouts, [N, T, E], from which the output layer computes the logits
        - the attention weights, [N, T, S] in float32 or float64, zero over padding, or None if the
          context has no weights
        - the state after the last token
        """
        embedded = self.embedding_dropout(self.embedding(tokens))  # [N, T, E]
        masks = self.stack.masks(embedded)
        T, recurrent, spans = tokens.shape[1], state.recurrent, []
        # The classic placement needs one step after the other. Otherwise all steps run at once.
        for span in [slice(t, t + 1) for t in range(T)] if self.classic else [slice(0, T)]:
            x = embedded[:, span]
            now = [None if mask is None else mask[:, span] for mask in masks]
            if self.classic or self.context.query_independent:
                query = recurrent[0][0].unsqueeze(1) if self.classic else x
                c, weights = self.context(state.prepared, query, state.rows_per_source)
                fed = c if self.context.size else None
                x, recurrent = self.stack(x, state=recurrent, context=fed, masks=now)
            else:
                x, first = self.stack.layer(0, x, mask=now[0], state=recurrent[0])
                c, weights = self.context(state.prepared, x, state.rows_per_source)
                after = [first]
                for number in range(1, len(now)):
                    x, last = self.stack.layer(
                        number, x, mask=now[number], state=recurrent[number], context=c
                    )
                    after.append(last)
                recurrent = after
            spans.append((x, c, weights))
        hidden, c, weights = (_join(parts) for parts in zip(*spans, strict=True))
        prepared = self.context.advance(state.prepared, T)
        following = replace(state, recurrent=recurrent, prepared=prepared)
        hidden = self.dropout(hidden)  # [N, T, H]
        if not self.context.size:
            return hidden, weights, following
        x = torch.cat([hidden, embedded], dim=-1)
        r = torch.tanh(linear_with_context(x, c, self.readout.weight, self.readout.bias))
        return self.dropout(r), weights, following

    def start(self, memory: Memory) -> DecoderState:
        """Return the state before the first token, with one row for each of the B sources."""
        return DecoderState(self._initial_state(memory.summary), self.context.prepare(memory))

    def start_without_source(self, rows: int) -> DecoderState:
        """Return the state before the first token, for texts without a source.

        rows: N, the number of texts.
        """
        zeros = self.embedding.weight.new_zeros(rows, self.hidden)
        recurrent: list[LayerState] = [(zeros,) * self.parts for _ in self.stack.forwards]
        return DecoderState(recurrent, ())

    def predict(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Run the decoder over T given tokens, and return the predictions after each of them.

        Args:
            state: The state before the first of these tokens.
            tokens: The token ids, [N, T] int64. The first token of a target is BOS.
            written: The ids before word dropout, and before <unk> replaced copied tokens; None if
                they are the same. Only `MonotonicDecoder` and `TransducerDecoder` need them.

        Returns a tuple:
        - the log-probabilities of the next token, [N, T, V] in float32 or float64
        - the attention weights, as those of `read`
        - the state after the last token
        """
        r, weights, after = self.read(state, tokens)
        logits = self.output(r)
        return logits.log_softmax(dim=-1, dtype=softmax_dtype(logits)), weights, after

    def attend(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> Tensor | None:
        """Return the attention weights that `predict` returns, without the log-probabilities."""
        return self.read(state, tokens)[1]

    def forward(self, memory: Memory, target: Tensor) -> Tensor:
        """Return logits under teacher forcing, [B, T, V]; log-probabilities if `is_mixture`.

        target: The decoder inputs, [B, T] int64. Each row begins with BOS.
        """
        if self.is_mixture:
            return self.predict(self.start(memory), target)[0]
        logits: Tensor = self.output(self.read(self.start(memory), target)[0])
        return logits

    def step(
        self, state: DecoderState, tokens: Tensor, written: Tensor | None = None
    ) -> tuple[Tensor, DecoderState]:
        """Read one token per row and predict the next token.

        Args:
            state: The state of N rows.
            tokens: The latest token of each row, [N] int64.
            written: As in `predict`, [N] int64.

        Returns:
            The log-probabilities of the next token, [N, V] in float32 or float64, and the new
            state.
        """
        r, _, after = self.read(state, tokens.unsqueeze(1))
        logits = self.output(r.squeeze(1))
        return logits.log_softmax(dim=-1, dtype=softmax_dtype(logits)), after


def _join(parts: tuple[Any, ...]) -> Any:
    """Concatenate the parts along the time axis, or return None if the parts are None.

    parts: Tensors [N, t, F] with t time steps each.
    """
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts, dim=1)
