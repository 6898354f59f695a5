"""How the source reaches each decoder step. A decoder does not know which context it has."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import Linear

# What a context keeps of B sources: tensors whose first dimension is B.
PreparedContext = tuple[Tensor, ...]


class Context(nn.Module):
    """What every context offers; `size` is C, and `query_independent` says whether c is the same
    whatever is asked.

    `prepare` runs once per source. `forward` gives c for each query. Those of one source stand side
    by side, `rows_per_source` of every source, so that a search never copies a memory per
    hypothesis: N is `rows_per_source` times B.
    """

    query_independent = False

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def advance(self, prepared: PreparedContext, steps: int) -> PreparedContext:
        """What is left of it after some steps; most contexts are the same at every step."""
        return prepared

    @abstractmethod
    def prepare(self, memory: Memory) -> PreparedContext:
        """Memory of B sources → what `forward` needs of them."""

    @abstractmethod
    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        """query [N, T, Q] → c [N, T, C], or [N, 1, C] where it is the same at every step, and the
        weights [N, T, S] float32, or None where a context has none."""


class FixedContext(Context):
    """One c for the whole target: the encoder's summary at every step (Cho et al. 2014)."""

    query_independent = True

    def prepare(self, memory: Memory) -> PreparedContext:
        return (memory.summary,)  # [B, C]

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        return _repeat_rows(prepared[0], rows_per_source).unsqueeze(1), None  # [N, 1, C]


class AlignedContext(Context):
    """c_t = W h_t + b: the state at the very place that is written, source and target being of one
    length (N vs N). Beyond the source it is zero."""

    query_independent = True

    def __init__(self, state_size: int, size: int) -> None:
        super().__init__(size)
        self.value = Linear(state_size, size)

    def prepare(self, memory: Memory) -> PreparedContext:
        return (self.value(memory.states).masked_fill(~memory.mask.unsqueeze(2), 0),)  # [B, S, C]

    def advance(self, prepared: PreparedContext, steps: int) -> PreparedContext:
        return (prepared[0][:, steps:],)

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        (values,) = prepared
        values = values[:, : query.shape[1]]
        values = F.pad(values, (0, 0, 0, query.shape[1] - values.shape[1]))
        return _repeat_rows(values, rows_per_source), None  # [N, T, C]


class NoContext(Context):
    """No source: what a language model's decoder is fed at every step."""

    query_independent = True

    def __init__(self) -> None:
        super().__init__(0)

    def prepare(self, memory: Memory) -> PreparedContext:
        return ()

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, Tensor | None]:
        return query.new_zeros(*query.shape[:2], 0), None


def _repeat_rows(x: Tensor, times: int) -> Tensor:
    """[B, ...] → [N, ...], each row `times` times."""
    return x if times == 1 else x.repeat_interleave(times, dim=0)
