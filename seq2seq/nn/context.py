"""How the source reaches each decoder step. A decoder does not know which context it has."""

from __future__ import annotations

from abc import abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn

from seq2seq.nn.encoder import Memory
from seq2seq.nn.linear import Linear

# What a context keeps of B sources: tensors whose first dimension is B.
Prepared = tuple[Tensor, ...]


class Context(nn.Module):
    """What every context offers; `size` is C, and `constant` says whether c is the same whatever is
    asked.

    `prepare` runs once per source. `forward` gives c for each query. Those of one source stand side
    by side, `each` of every source, so that a search never copies a memory per hypothesis: N is
    `each` times B.
    """

    constant = False

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def advance(self, prepared: Prepared, steps: int) -> Prepared:
        """What is left of it after some steps; most contexts are the same at every step."""
        return prepared

    @abstractmethod
    def prepare(self, memory: Memory) -> Prepared:
        """Memory of B sources → what `forward` needs of them."""

    @abstractmethod
    def forward(self, prepared: Prepared, query: Tensor, each: int) -> tuple[Tensor, Tensor | None]:
        """query [N, T, Q] → c [N, T, C], or [N, 1, C] where it is the same at every step, and the
        weights [N, T, S] float32, or None where a context has none."""


class Fixed(Context):
    """One c for the whole target: the encoder's summary at every step (Cho et al. 2014)."""

    constant = True

    def prepare(self, memory: Memory) -> Prepared:
        return (memory.summary,)  # [B, C]

    def forward(self, prepared: Prepared, query: Tensor, each: int) -> tuple[Tensor, Tensor | None]:
        return _repeated(prepared[0], each).unsqueeze(1), None  # [N, 1, C]


class Aligned(Context):
    """c_t = W h_t + b: the state at the very place that is written, source and target being of one
    length (N vs N). Beyond the source it is zero."""

    constant = True

    def __init__(self, state_size: int, size: int) -> None:
        super().__init__(size)
        self.value = Linear(state_size, size)

    def prepare(self, memory: Memory) -> Prepared:
        return (self.value(memory.states).masked_fill(~memory.mask.unsqueeze(2), 0),)  # [B, S, C]

    def advance(self, prepared: Prepared, steps: int) -> Prepared:
        return (prepared[0][:, steps:],)

    def forward(self, prepared: Prepared, query: Tensor, each: int) -> tuple[Tensor, Tensor | None]:
        (values,) = prepared
        values = values[:, : query.shape[1]]
        values = F.pad(values, (0, 0, 0, query.shape[1] - values.shape[1]))
        return _repeated(values, each), None  # [N, T, C]


class Nothing(Context):
    """No source: what a language model's decoder is fed at every step."""

    constant = True

    def __init__(self) -> None:
        super().__init__(0)

    def prepare(self, memory: Memory) -> Prepared:
        return ()

    def forward(self, prepared: Prepared, query: Tensor, each: int) -> tuple[Tensor, Tensor | None]:
        return query.new_zeros(*query.shape[:2], 0), None


def _repeated(x: Tensor, each: int) -> Tensor:
    """[B, ...] → [N, ...], each row `each` times."""
    return x if each == 1 else x.repeat_interleave(each, dim=0)
