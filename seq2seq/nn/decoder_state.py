"""The state of a decoder between two steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seq2seq.nn.context import PreparedContext
from seq2seq.nn.recurrent import LayerState


@dataclass(frozen=True)
class DecoderState:
    """The state of a decoder between two steps, with one row for each of N hypotheses. Immutable.

    Attributes:
        recurrent: The state of each layer, as tensors [N, H].
        prepared: The tensors that `Context.prepare` returned, with one row per source.
        rows_per_source: Number of consecutive rows that belong to the same source.
        joint: The log-probability of each pair of a next token and its position in the source,
            [N, V, S]. Only `MonotonicDecoder` has it, and only after the first step.
        pointer: The source position to which the pointer of each row points, [N] int64. Only
            `TransducerDecoder` has it, and only after the first step.
    """

    recurrent: list[LayerState]
    prepared: PreparedContext
    rows_per_source: int = 1
    joint: Tensor | None = None
    pointer: Tensor | None = None

    def select(self, rows: Tensor) -> DecoderState:
        """Return a state that holds only the chosen rows, in the given order.

        Consecutive rows of a source share its prepared data if every remaining source has the same
        number of rows, as in beam search. Otherwise each row gets its own copy of the data. If the
        sources and their order stay the same, no data is copied.

        Args:
            rows: Indices of the chosen rows, [M] int64 with M ≥ 1. An index may occur repeatedly.
        """
        picked = [tuple(part[rows] for part in layer) for layer in self.recurrent]
        joint, pointer = (
            None if part is None else part[rows] for part in (self.joint, self.pointer)
        )
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
        return DecoderState(picked, prepared, each, joint, pointer)
