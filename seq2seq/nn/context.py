"""Contexts pass information about the source to each decoder step, as a context vector c.

The decoder calls only the methods of the base class `Context`. It does not know which kind of
context it has.
"""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import Linear

# The data that a context stores about B sources: tensors whose first dimension is B.
PreparedContext = tuple[Tensor, ...]


class Context(nn.Module):
    """The base class of all contexts.

    `prepare` runs once per source. `forward` then returns a context vector c for each query. A
    query is a row of the decoder at one step. Every source has `rows_per_source` consecutive rows,
    which share the prepared data of this source. A search with many hypotheses per source therefore
    does not copy the data.

    Attributes:
        size: C, the size of a context vector.
        fed_size: Size of the context vector that the recurrent layers receive: C, or 0 if they
            receive none.
        query_independent: True if c does not depend on the query.
    """

    query_independent = False

    def __init__(self, size: int) -> None:
        """Store `size`, the size C of a context vector."""
        super().__init__()
        self.size = self.fed_size = size

    def advance(self, prepared: PreparedContext, steps: int) -> PreparedContext:
        """Return the prepared data for the decoder steps that come after the next `steps` steps.

        Most contexts need the same data at every step and return `prepared` unchanged.
        """
        return prepared

    @abstractmethod
    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the data that `forward` needs, computed once per source.

        memory: The encoded sources, with B rows.
        """

    @abstractmethod
    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context vector and the attention weights of every query.

        Args:
            prepared: The result of `prepare` for B sources.
            query: The queries, [N, T, Q], where N = rows_per_source · B and Q is the size of a
                query.
            rows_per_source: Number of consecutive rows that belong to the same source.

        Returns a tuple:
        - the context vectors, [N, T, C], or [N, 1, C] if they are the same at every step
        - the attention weights, [N, T, S] in float32 or float64, or None if the context has no
          weights
        """


class FixedContext(Context):
    """A fixed context: c is the encoder's summary at every step (Cho et al. 2014)."""

    query_independent = True

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the summaries of B sources, as a tuple of one tensor [B, C]."""
        return (memory.summary,)  # [B, C]

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return one context vector per row for all steps, [N, 1, C], and None for the weights."""
        return _repeat_rows(prepared[0], rows_per_source).unsqueeze(1), None  # [N, 1, C]


class AlignedContext(Context):
    """A context that passes the encoder's state at position t to decoder step t.

    c_t = W h_t + b, where h_t is the encoder's state at position t. This context suits tasks whose
    source and target have the same length. After the end of the source, c_t is zero.
    """

    query_independent = True

    def __init__(self, state_size: int, size: int) -> None:
        super().__init__(size)
        self.value = Linear(state_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the projected states of B sources, as a tuple of one tensor [B, S, C].

        The states of padding are zero.
        """
        return (self.value(memory.states).masked_fill(~memory.mask.unsqueeze(2), 0),)  # [B, S, C]

    def advance(self, prepared: PreparedContext, steps: int) -> PreparedContext:
        """Return the projected states without the first `steps` positions."""
        return (prepared[0][:, steps:],)

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context vectors of the next T positions, [N, T, C], and None for weights."""
        (values,) = prepared
        values = values[:, : query.shape[1]]
        values = F.pad(values, (0, 0, 0, query.shape[1] - values.shape[1]))
        return _repeat_rows(values, rows_per_source), None  # [N, T, C]


class NoContext(Context):
    """An empty context (C = 0) for decoders without a source, such as language models."""

    query_independent = True

    def __init__(self) -> None:
        super().__init__(0)

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return an empty tuple, because there is no source."""
        return ()

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return empty context vectors, [N, T, 0], and None for the weights."""
        return query.new_zeros(*query.shape[:2], 0), None


def _repeat_rows(x: Tensor, times: int) -> Tensor:
    return x if times == 1 else x.repeat_interleave(times, dim=0)
