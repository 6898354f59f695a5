"""All alignments of source and target tokens, as paths through a lattice.

A path goes over the source from left to right. Each action of the path either writes the next
target token at the current source position, or moves to the next source position.

Shapes use these letters: B pairs, S source length, T target length, D = S + T + 1 (a path has 0 to
S + T actions).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

IdPair = tuple[np.ndarray, np.ndarray]

_ROUNDING = 1e-6  # nats; log p that differ by less are treated as equal
_NUMBERS = 1 << 22  # approximate number of floats in an array of a lattice


class Lattice:
    """All paths of B pairs of source and target.

    After d actions, a path at source position i has written d - i target tokens.

    Arrays of log-probabilities have a last axis of size 2. Entry 0 is for the first action at a
    source position, and entry 1 is for later actions there.
    """

    def __init__(
        self, table: np.ndarray, pairs: Sequence[IdPair], eos: tuple[int, int], move: int
    ) -> None:
        """Prepare the lattice. `ActionModel` explains `eos` and `move`.

        table: The logarithms of `ActionModel.table`.
        """
        (self.eos, self.end), self.move, self.shape = eos, move, table.shape
        S, T = (max(len(pair[side]) for pair in pairs) for side in (0, 1))
        self.lengths = np.array([(len(source), len(target)) for source, target in pairs])
        self.source = np.full((len(pairs), S + 1), self.eos)
        self.target = np.full((len(pairs), T + 1), self.end)
        for row, (source, target) in enumerate(pairs):
            self.source[row, : len(source)] = source
            self.target[row, : len(target)] = target
        i, d = np.arange(S + 1), np.arange(S + T + 1)[:, None]
        at = np.clip(d - i, 0, T)  # [D, S + 1], the next target token at position i
        self.next = self.target[:, at].transpose(1, 0, 2)  # [D, B, S + 1]
        self.write = table[self.source, self.next]  # [D, B, S + 1, 2]
        inside = (d >= i)[:, None] & (at[:, None] < self.lengths[:, 1, None])
        self.write[~inside] = -np.inf
        self.step = table[self.source, self.move]  # [B, S + 1, 2]
        self.step[i >= self.lengths[:, :1]] = -np.inf
        self.last = table[self.eos, self.end]  # [2]

    def forward(self, add: np.ufunc) -> np.ndarray:
        """Return log p of the paths to each source position after d actions, [D, B, S + 1, 2].

        add: The function that combines the log p of several paths: `np.logaddexp` for their sum,
            or `np.maximum` for the best path.
        """
        reached = np.full(self.write.shape, -np.inf)
        reached[0, :, 0, 0] = 0
        for d in range(1, len(reached)):
            before = reached[d - 1]
            written, moved = before + self.write[d - 1], before + self.step
            reached[d, ..., 1] = add(written[..., 0], written[..., 1])
            reached[d, :, 1:, 0] = add(moved[:, :-1, 0], moved[:, :-1, 1])
        return reached

    def add_counts(self, counts: np.ndarray) -> float:
        """Add the expected number of uses of each action to `counts`. Return log p of all pairs.

        counts: An array of the shape of `ActionModel.table`.
        """
        rows, (S, T) = np.arange(len(self.lengths)), self.lengths.T
        reached = self.forward(np.logaddexp)
        final = reached[S + T, rows, S] + self.last  # [B, 2]
        total = np.logaddexp.reduce(final, axis=1)
        counts[self.eos, self.end] += np.exp(final - total[:, None]).sum(axis=0)
        ahead = np.full(reached.shape[1:], -np.inf)
        writes, moves = np.empty_like(self.write), np.zeros_like(self.step)
        for d in range(len(reached) - 1, -1, -1):
            moved = np.full_like(ahead, -np.inf)
            moved[:, :-1] = self.step[:, :-1] + ahead[:, 1:, :1]
            written = self.write[d] + ahead[..., 1:]
            known = reached[d] - total[:, None, None]
            writes[d] = np.exp(known + written)
            moves += np.exp(known + moved)
            ahead = np.logaddexp(written, moved)
            ends = d == S + T
            ahead[ends, S[ends]] = self.last
        for uses, ids in ((writes, self.next), (moves, self.move)):
            cells = (self.source * self.shape[1] + ids).ravel()
            for later in (0, 1):
                sums = np.bincount(cells, uses[..., later].ravel(), counts[..., later].size)
                counts[..., later] += sums.reshape(self.shape[:2])
        return float(total.sum())

    def best(self) -> list[list[int]]:
        """Return the most likely path of each pair. If paths are equal, prefer early moves."""
        reached = self.forward(np.maximum)
        rows, (place, written) = np.arange(len(self.lengths)), self.lengths.T.copy()
        wrote = _first(reached[place + written, rows, place] + self.last)
        paths = np.full((len(rows), len(reached)), self.move)
        for d in range(len(reached) - 1, 0, -1):
            inside = place + written == d
            writes = inside & wrote
            written -= writes
            place -= inside & ~wrote
            tokens = self.target[rows, written]
            paths[writes, d - 1] = tokens[writes]
            used = np.where(writes[:, None], self.write[d - 1, rows, place], self.step[rows, place])
            wrote = np.where(inside, _first(reached[d - 1, rows, place] + used), wrote)
        return [path[: sum(size)].tolist() for path, size in zip(paths, self.lengths, strict=True)]


def _first(values: np.ndarray) -> np.ndarray:
    """Return whether values[:, 1] is at least values[:, 0], except for rounding errors, [B].

    values: [B, 2].
    """
    larger: np.ndarray = values[:, 1] >= values[:, 0] - _ROUNDING
    return larger


def chunk_pairs(pairs: Sequence[IdPair]) -> Iterator[list[int]]:
    """Yield the indices of all pairs, in chunks of pairs with similar lengths."""
    sizes = [(len(source) + len(target), len(source)) for source, target in pairs]
    chunk: list[int] = []
    for row in sorted(range(len(pairs)), key=lambda row: sizes[row]):
        total, length = sizes[row]
        if chunk and (len(chunk) + 1) * (total + 1) * (length + 1) > _NUMBERS:
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk
