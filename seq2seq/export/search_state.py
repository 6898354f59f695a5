"""The state of a search in one exported model.

Shapes use these letters: B sources, N hypotheses, n candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Candidates:
    """The rare tokens that each source allows.

    ids: the tokens, [B, n] int64, or [1, n] if they are the same for all sources. If a source has
        fewer than n tokens, the rest is -1.
    parts: the columns of the output layer for these tokens, as inputs of the graph `step`.
    """

    ids: np.ndarray
    parts: dict[str, np.ndarray]

    def select(self, sources: np.ndarray) -> Candidates:
        """Return candidates whose row i is row sources[i] of these candidates."""
        if len(self.ids) == 1:
            return self
        parts = {name: part[sources] for name, part in self.parts.items()}
        return Candidates(self.ids[sources], parts)


@dataclass(frozen=True)
class MemberState:
    """The state of a search in one exported model.

    rows: arrays [N, H], in the order of `Export.rows`.
    memory: arrays with one row per source.
    rows_per_source: the number of consecutive rows that belong to one source.
    position: the number of steps so far.
    candidates: the rare tokens of each source, for a model with a shortlist.
    """

    rows: list[np.ndarray]
    memory: dict[str, np.ndarray]
    rows_per_source: int = 1
    position: int = 0
    candidates: Candidates | None = None

    def select(self, rows: np.ndarray) -> MemberState:
        """Return a state whose row i is row rows[i] of this state.

        rows: [M] int64.

        Consecutive rows of a source share its memory if every remaining source has the same number
        of rows. Otherwise, each row gets its own copy of the memory.
        """
        picked = [part[rows] for part in self.rows]
        if not self.memory:
            return MemberState(picked, {}, position=self.position)
        memory, candidates = self.memory, self.candidates
        size = len(next(iter(memory.values())))
        of_row = rows // self.rows_per_source
        each, rest = divmod(len(rows), size)
        if not rest and (of_row.reshape(size, -1) == np.arange(size)[:, None]).all():
            return MemberState(picked, memory, each, self.position, candidates)
        begins = np.ones(len(rows), bool)
        np.not_equal(of_row[1:], of_row[:-1], out=begins[1:])
        first = begins.nonzero()[0]
        each, rest = divmod(len(rows), len(first))
        sources = of_row[first]
        if rest or (first != np.arange(len(first)) * each).any():
            sources, each = of_row, 1
        memory = {name: part[sources] for name, part in memory.items()}
        if candidates:
            candidates = candidates.select(sources)
        return MemberState(picked, memory, each, self.position, candidates)
