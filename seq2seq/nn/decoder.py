"""The decoder: h_t = f(h_{t-1}, y_{t-1}, c_t), p(y_t) = g(h_t, y_{t-1}, c_t) (Cho et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seq2seq.nn.context import Context
from seq2seq.nn.encoder import Memory
from seq2seq.nn.recurrent import Dropout, LayerState, Stack


@dataclass(frozen=True)
class State:
    """A decoder between two steps: a value that is passed along.

    recurrent: the parts of each layer, [N, H]; prepared: the context's, one row a source;
    source [N] int64: the source that each row belongs to.
    """

    recurrent: list[LayerState]
    prepared: Tensor
    source: Tensor

    def select(self, rows: Tensor) -> State:
        """The state with rows [M] int64 of the present one. The prepared memory is not copied."""
        picked = [tuple(part[rows] for part in layer) for layer in self.recurrent]
        return State(picked, self.prepared, self.source[rows])


class Decoder(nn.Module):
    """A recurrent stack that is started from c and fed c at every step, as is its output layer.

    Output: r_t = tanh(W [h_t ; y_{t-1} ; c_t] + b), logits_t = O r_t + o.
    `tied`: O is the embedding matrix (Press and Wolf 2017), and r_t has the embedding's size.
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        context: Context,
        summary_size: int,
        *,
        cell: str,
        hidden: int,
        layers: int,
        dropout: float,
        embedding_dropout: float,
        variational: bool,
        tied: bool,
    ) -> None:
        super().__init__()
        size = embedding.embedding_dim
        self.embedding = embedding
        self.context = context
        self.embedding_dropout = Dropout(embedding_dropout, variational)
        self.stack = Stack(
            cell,
            size,
            hidden,
            layers,
            context_size=context.size,
            dropout=dropout,
            variational=variational,
        )
        self.parts = 2 if cell == "lstm" else 1
        self.bridge = nn.Linear(summary_size, layers * self.parts * hidden)
        self.dropout = Dropout(dropout, variational)
        self.readout = nn.Linear(hidden + size + context.size, size)
        self.output = nn.Linear(size, embedding.num_embeddings)
        if tied:
            self.output.weight = embedding.weight
        nn.init.zeros_(self.output.bias)

    def _first(self, memory: Memory) -> list[LayerState]:
        """The state before the first step: tanh(W c + b) for every layer."""
        first = torch.tanh(self.bridge(memory.summary)).chunk(
            len(self.stack.forwards) * self.parts, dim=-1
        )
        return [
            tuple(first[start : start + self.parts]) for start in range(0, len(first), self.parts)
        ]

    def _run(
        self, tokens: Tensor, state: State, source: Tensor | None
    ) -> tuple[Tensor, list[LayerState]]:
        """tokens [N, T] → r [N, T, E], last state. All that training and search share."""
        embedded = self.embedding_dropout(self.embedding(tokens))  # [N, T, E]
        c, _ = self.context(state.prepared, embedded, source)  # [N, T, C]
        hidden, last = self.stack(embedded, state=state.recurrent, context=c)  # [N, T, H]
        joined = torch.cat([self.dropout(hidden), embedded, c.to(embedded.dtype)], dim=-1)
        return self.dropout(torch.tanh(self.readout(joined))), last

    def start(self, memory: Memory) -> State:
        """Memory of B sources → the state before the first token, one row a source."""
        source = torch.arange(memory.summary.shape[0], device=memory.summary.device)
        return State(self._first(memory), self.context.prepare(memory), source)

    def readouts(self, memory: Memory, target: Tensor) -> Tensor:
        """Teacher forcing: target [B, T] int64 (BOS first) → r [B, T, E], one fused run over T."""
        state = self.start(memory)
        return self._run(target, state, None)[0]

    def forward(self, memory: Memory, target: Tensor) -> Tensor:
        """Teacher forcing: target [B, T] int64 (BOS first) → logits [B, T, V]."""
        logits: Tensor = self.output(self.readouts(memory, target))
        return logits

    def step(self, state: State, tokens: Tensor) -> tuple[Tensor, State]:
        """tokens [N] int64 → log-probabilities [N, V] float32 (or wider), and the next state."""
        r, last = self._run(tokens.unsqueeze(1), state, state.source)
        logits = self.output(r.squeeze(1))
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        return logits.log_softmax(dim=-1), State(last, state.prepared, state.source)
