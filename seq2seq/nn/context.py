"""Contexts pass information about the source to each decoder step.

The decoder uses all contexts in the same way and does not know their kind.
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

    `prepare` runs once per source. `forward` then returns a context vector c for each query. Every
    source has `rows_per_source` rows of queries, so N = rows_per_source · B. The rows of a source
    are neighbours and share its prepared data. A search therefore copies no memory per hypothesis.

    Attributes:
        size: C, the size of the context.
        query_independent: True if c does not depend on the query.
    """

    query_independent = False

    def __init__(self, size: int) -> None:
        """Store `size`, the size C of the context."""
        super().__init__()
        self.size = size

    def advance(self, prepared: PreparedContext, steps: int) -> PreparedContext:
        """Return the prepared data for the decoder steps that follow the first `steps` steps.

        Most contexts need the same data at every step and return `prepared` unchanged.
        """
        return prepared

    @abstractmethod
    def prepare(self, memory: Memory) -> PreparedContext:
        """Compute the data that `forward` needs from the memory of B sources."""

    @abstractmethod
    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return the context and the attention weights of every query.

        Args:
            prepared: The result of `prepare` for B sources.
            query: [N, T, Q], where N = rows_per_source · B and Q is the size of a query.
            rows_per_source: Number of neighbouring rows that share one source.

        Returns:
            c [N, T, C], or [N, 1, C] if c is the same at every step. Then the attention weights
            [N, T, S] in float32 or wider, or None if the context computes no weights.
        """


class FixedContext(Context):
    """A fixed context: c is the encoder's summary at every step (Cho et al. 2014)."""

    query_independent = True

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the summaries of B sources."""
        return (memory.summary,)  # [B, C]

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return c [N, 1, C], which serves every step, and no weights."""
        return _repeat_rows(prepared[0], rows_per_source).unsqueeze(1), None  # [N, 1, C]


class AlignedContext(Context):
    """The context of the same position: c_t = W h_t + b, where h_t is the encoder's state at t.

    It suits tasks whose source and target have the same length (N vs N). After the end of the
    source, c_t is zero.
    """

    query_independent = True

    def __init__(self, state_size: int, size: int) -> None:
        super().__init__(size)
        self.value = Linear(state_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        """Return the projected states of B sources, zero over padding."""
        return (self.value(memory.states).masked_fill(~memory.mask.unsqueeze(2), 0),)  # [B, S, C]

    def advance(self, prepared: PreparedContext, steps: int) -> PreparedContext:
        """Return the projected states without those of the first `steps` positions."""
        return (prepared[0][:, steps:],)

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return c [N, T, C] for the next T positions of the source, and no weights."""
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
        """Return an empty tuple."""
        return ()

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """Return an empty context [N, T, 0] and no weights."""
        return query.new_zeros(*query.shape[:2], 0), None


def _repeat_rows(x: Tensor, times: int) -> Tensor:
    """Repeat each row of x [B, ...] `times` times. Returns [N, ...], where N = times · B."""
    return x if times == 1 else x.repeat_interleave(times, dim=0)
