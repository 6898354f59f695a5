"""The decoder: h_t = f(h_{t-1}, y_{t-1}, c_t), p(y_t) = g(h_t, y_{t-1}, c_t) (Cho et al. 2014).

What the context is asked with, the query q_t, is a state of the first layer, and there are two
placements of the question:

- parallel: q_t = h1_t, and every layer above the first and the output layer are fed c_t. No query
  depends on the c of another step, so that each layer runs over the whole target as one fused call.
- classic: q_t = h1_{t-1}, and all layers are fed c_t (Bahdanau et al. 2015). The query depends on
  c_{t-1}: one step after the other.

A c that is constant needs no question: all layers are fed it, and both placements are the same
network. Without a source there is no c, and the decoder is a language model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.nn.context import Context, PreparedContext
from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import linear_with_context, softmax_dtype
from seq2seq.nn.recurrent import LayerState, RecurrentStack


@dataclass(frozen=True)
class DecoderState:
    """A decoder between two steps: a value that is passed along.

    recurrent: the parts of each layer, [N, H]; prepared: the context's, one row a source;
    rows_per_source: how many rows belong to each source, side by side.
    """

    recurrent: list[LayerState]
    prepared: PreparedContext
    rows_per_source: int = 1

    def select(self, rows: Tensor) -> DecoderState:
        """The state with rows [M] int64 of the present one, at least one.

        A memory is copied where sources have left. In a beam, the hypotheses of a sentence stand
        side by side, the same number for each sentence, and share it; rows in any other order have
        one copy each.
        """
        picked = [tuple(part[rows] for part in layer) for layer in self.recurrent]
        if not self.prepared:
            return replace(self, recurrent=picked)
        sources, counts = torch.unique_consecutive(rows // self.rows_per_source, return_counts=True)
        each = len(rows) // len(sources)
        if bool((counts != each).any()):
            sources, each = rows // self.rows_per_source, 1
        prepared = self.prepared
        everything = torch.arange(len(prepared[0]), device=rows.device)
        if not torch.equal(sources, everything):
            prepared = tuple(part[sources] for part in prepared)
        return DecoderState(picked, prepared, each)


class Decoder(nn.Module):
    """A recurrent stack that is started from the summary of the source and fed c at every step, as
    is its output layer; with attention of the parallel placement, its first layer asks for c_t, and
    those above it are fed it.

    Output: r_t = tanh(W [h_t ; y_{t-1} ; c_t] + b), logits_t = O r_t + o. Without a source, the
    stack starts from zeros, and r_t = h_t.
    `tied`: O is the embedding matrix (Press and Wolf 2017), and r_t has the embedding's size.
    """

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
        """context: of the size of the encoder's summary; bidirectional: for a decoder without a
        source that may see what comes, which is none that a text could be written with."""
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
            context_size=context.size,
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
        """The state before the first step: tanh(W · summary + b) for every layer."""
        first = torch.tanh(self.bridge(summary)).chunk(
            len(self.stack.forwards) * self.parts, dim=-1
        )
        return [
            tuple(first[start : start + self.parts]) for start in range(0, len(first), self.parts)
        ]

    def read(
        self, state: DecoderState, tokens: Tensor
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """Any number of steps, of training and of search: tokens [N, T] int64, BOS first → r
        [N, T, E], the context's weights [N, T, S] float32 (zero over padding; None where it has
        none), and the state after them."""
        embedded = self.embedding_dropout(self.embedding(tokens))  # [N, T, E]
        masks = self.stack.masks(embedded)
        T, recurrent, spans = tokens.shape[1], state.recurrent, []
        # The classic placement goes step by step, all others run over all steps at once.
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
        """Memory of B sources → the state before the first token, one row a source."""
        return DecoderState(self._initial_state(memory.summary), self.context.prepare(memory))

    def start_without_source(self, rows: int) -> DecoderState:
        """The state before the first token of `rows` texts that have no source."""
        zeros = self.embedding.weight.new_zeros(rows, self.hidden)
        recurrent: list[LayerState] = [(zeros,) * self.parts for _ in self.stack.forwards]
        return DecoderState(recurrent, ())

    def forward(self, memory: Memory, target: Tensor) -> Tensor:
        """Teacher forcing: target [B, T] int64 (BOS first) → logits [B, T, V]."""
        r, _, _ = self.read(self.start(memory), target)
        logits: Tensor = self.output(r)
        return logits

    def step(self, state: DecoderState, tokens: Tensor) -> tuple[Tensor, DecoderState]:
        """tokens [N] int64 → log-probabilities [N, V] float32 (or wider), and the next state."""
        r, _, after = self.read(state, tokens.unsqueeze(1))
        logits = self.output(r.squeeze(1))
        return logits.log_softmax(dim=-1, dtype=softmax_dtype(logits)), after


def _join(parts: tuple[Any, ...]) -> Any:
    """Parts [N, t, F] behind one another in time; None where there are none."""
    return parts[0] if len(parts) == 1 or parts[0] is None else torch.cat(parts, dim=1)
