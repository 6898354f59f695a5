"""Models made of probability tables, for tests of the searches; and the slow, obvious answers."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.decoding.engine import LogProbabilities
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials

Prefix = tuple[int, ...]
Table = Callable[[int, Prefix], Sequence[float]]
"""(source sentence, tokens so far without BOS) → a probability for each of the V tokens."""

BOS, EOS, A, B = 0, 1, 2, 3
SPECIALS = Specials(bos=BOS, eos=EOS, forbidden=(BOS,))


@dataclass(frozen=True)
class TableState:
    """Per row: which source it belongs to, and the tokens it was stepped with, BOS first."""

    sources: tuple[int, ...]
    prefixes: tuple[Prefix, ...]


class TableLogProbabilities:
    """The log-probabilities of a step, [N, V]."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def exclude(self, tokens: Sequence[int]) -> None:
        self.values[:, list(tokens)] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        return self.values[np.arange(len(tokens)), tokens].astype(np.float64)

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids = np.argsort(-self.values, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(self.values, ids, axis=1).astype(np.float64), ids

    def all(self) -> np.ndarray:
        return self.values


class TableModel:
    """An engine that gives log p from a table; `steps` holds the number of rows of each step."""

    def __init__(
        self, table: Table, wrap: Callable[[np.ndarray], LogProbabilities] = TableLogProbabilities
    ) -> None:
        self.table = table
        self.wrap = wrap
        self.steps: list[int] = []
        self.known: dict[tuple[int, Prefix], list[float]] = {}

    def start(self, *sources: int) -> TableState:
        return TableState(sources, ((),) * len(sources))

    def log_p(self, source: int, prefix: Prefix) -> list[float]:
        key = (source, prefix)
        if key not in self.known:
            self.known[key] = [math.log(p) if p else -math.inf for p in self.table(source, prefix)]
        return self.known[key]

    def select(self, state: TableState, rows: np.ndarray) -> TableState:
        at = rows.tolist()
        return TableState(
            tuple(state.sources[row] for row in at), tuple(state.prefixes[row] for row in at)
        )

    def step(self, state: TableState, tokens: np.ndarray) -> tuple[LogProbabilities, TableState]:
        assert len(tokens) == len(state.sources)
        self.steps.append(len(tokens))
        pairs = zip(state.prefixes, tokens.tolist(), strict=True)
        prefixes = tuple((*prefix, token) for prefix, token in pairs)
        assert all(prefix[0] == BOS for prefix in prefixes)
        rows = zip(state.sources, prefixes, strict=True)
        log_p = np.array([self.log_p(source, prefix[1:]) for source, prefix in rows])
        return self.wrap(log_p), TableState(state.sources, prefixes)


def limits(*maximum: int, minimum: int = 1) -> Limits:
    return Limits(minimum, np.array(maximum, np.int64))


def written(table: dict[Prefix, Sequence[float]]) -> TableModel:
    """A table written out, the same for every source; a prefix that it leaves out ends there."""
    end = [0.0, 1.0, 0.0, 0.0]
    return TableModel(lambda source, prefix: table.get(prefix, end))


def hashed(seed: int, V: int, zeros: float = 0.0) -> TableModel:
    """Every (source, prefix) has its own random distribution; `zeros` of it is impossible, though
    never EOS nor the last token."""

    def table(source: int, prefix: Prefix) -> list[float]:
        draw = random.Random(f"{seed} {source} {prefix}")
        weights = [draw.random() ** 2 + 1e-3 for _ in range(V)]
        for token in range(V - 1):
            if token != EOS and draw.random() < zeros:
                weights[token] = 0.0
        return [weight / sum(weights) for weight in weights]

    return TableModel(table)


def hypothesis_of(
    model: TableModel, source: int, tokens: Prefix, finished: bool, alpha: float
) -> Hypothesis:
    """The score of given tokens, added up by teacher forcing."""
    path = (*tokens, EOS) if finished else tokens
    total = 0.0
    for at, token in enumerate(path):
        total += model.log_p(source, path[:at])[token]
    return Hypothesis(list(tokens), total, total / len(path) ** alpha, finished)


def ranked(found: list[Hypothesis]) -> list[Hypothesis]:
    possible = [h for h in found if h.score > -math.inf]
    return sorted(possible, key=lambda h: (-h.score, h.tokens))


def brute_force(
    model: TableModel, source: int, V: int, minimum: int, maximum: int, alpha: float
) -> list[Hypothesis]:
    """Every sequence there is, best first: the finished ones, or where there are none, the cut."""
    emitted = [token for token in range(V) if token not in (BOS, EOS)]
    finished = [
        hypothesis_of(model, source, tokens, True, alpha)
        for size in range(minimum, maximum)
        for tokens in itertools.product(emitted, repeat=size)
    ]
    cut = [
        hypothesis_of(model, source, tokens, False, alpha)
        for tokens in itertools.product(emitted, repeat=maximum)
    ]
    return ranked(finished) or ranked(cut)


def plain_beam(
    model: TableModel, source: int, V: int, minimum: int, maximum: int, alpha: float, beam: int
) -> list[Hypothesis]:
    """The rule of `beam.beam` for one sentence, in plain Python, never stopping early."""
    live: list[Prefix] = [()]
    pool: list[Hypothesis] = []
    for size in range(maximum):
        if size >= minimum:
            pool += [hypothesis_of(model, source, tokens, True, alpha) for tokens in live]
        longer = [
            hypothesis_of(model, source, (*tokens, token), False, alpha)
            for tokens in live
            for token in range(V)
            if token not in (BOS, EOS)
        ]
        cut = ranked(longer)[:beam]
        live = [tuple(h.tokens) for h in cut]
    return ranked(pool) or cut


def assert_same(found: list[Hypothesis], expected: list[Hypothesis], within: float = 1e-12) -> None:
    assert [(h.tokens, h.finished) for h in found] == [(h.tokens, h.finished) for h in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert math.isclose(mine.log_probability, theirs.log_probability, abs_tol=within)
        assert math.isclose(mine.score, theirs.score, abs_tol=within)
