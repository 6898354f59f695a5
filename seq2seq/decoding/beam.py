"""Beam search that stops exactly when nothing alive can still win.

Each step, every live hypothesis ended by EOS is offered to its sentence's pool of the n_best, and
the `beam` best continuations by other tokens stay alive. EOS takes no place among them, so that
beam >= V^(T-1) is exhaustive. A sentence leaves the batch when its pool is full and no live
hypothesis can beat the worst in it (log-probabilities are <= 0, so none will score above its
sum / maximum^alpha), or at its maximum; there, where none has finished, the live ones count,
unfinished.

Of equals, what was pooled earlier comes first, then the child of the better parent, then the lower
token. Only which of equals is the last of a parent's `beam` continuations is the engine's choice
(`LogProbabilities.top`): a stable sort of [N, V] would cost more than the model. On a CPU, none of
it depends on the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seq2seq.decoding.engine import Engine, LogProbabilities, State
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, penalties, require_finite


def beam_search(
    engine: Engine[State],
    state: State,
    limits: Limits,
    specials: Specials,
    *,
    beam: int,
    alpha: float,
    n_best: int,
) -> list[list[Hypothesis]]:
    """The hypotheses with the highest Σ log p / length^alpha, EOS counted in both.

    state: B rows, one per source sentence. Returns, in the order of the input, B lists of at least
    1 and at most n_best hypotheses, best first: finished ones, or where there are none, unfinished.
    Raises ValueError for beam or n_best below 1 or alpha below 0; ArithmeticError where the model
    gave no permitted token a finite log-probability.
    """
    if beam < 1 or n_best < 1:
        raise ValueError(f"beam is {beam} and n_best {n_best}, both must be at least 1")
    maximum = limits.maximum
    B = len(maximum)
    penalty = penalties(int(maximum.max()) if B else 0, alpha)  # [T + 1]
    pool = _Pool.empty(B, n_best)
    masked = (*specials.forbidden, specials.eos)
    cuts = set(maximum.tolist())
    steps: list[_Step] = []
    rows = np.arange(B)  # [n], n = B at first: the sentences still searched
    totals = np.zeros((B, 1))  # [n, K], K = 1 at first: Σ log p of the live, -inf where none
    tokens = np.full(B, specials.bos)  # [n*K]
    for length in range(1, len(penalty)):
        log_p, state = engine.step(state, tokens)  # n*K rows
        if length > limits.minimum:
            ended = totals + log_p.at(np.full_like(tokens, specials.eos)).reshape(totals.shape)
            pool.add(rows, ended, penalty[length], length - 1)
        log_p.exclude(masked)
        totals, parents, chosen = _extend(log_p, totals, beam)  # [n, K] each
        steps.append(_Step.record(B, rows, parents, chosen))
        cut = maximum[rows] == length  # [n]
        if length in cuts:
            pool.add_where_empty(cut, rows, totals, penalty[length], length)
        bound = totals[:, 0] / penalty[maximum[rows]]  # [n], the best live hypothesis comes first
        settled = bound <= pool.score[rows, -1]
        going = (~(cut | settled)).nonzero()[0]  # [n']
        if len(going) == 0:
            break
        first = np.arange(len(rows))[:, None] * (len(tokens) // len(rows))
        state = engine.select(state, (first + parents)[going].ravel())  # n'*K rows
        rows, totals, tokens = rows[going], totals[going], chosen[going].ravel()
    return _collect(pool, steps, maximum)


def _extend(
    log_p: LogProbabilities, totals: np.ndarray, beam: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The best continuations of each sentence's live hypotheses.

    log_p: n*K rows of V; totals [n, K] → totals, parents (0 … K-1) and tokens, each [n, K'] with
    K' = min(beam, K*V), best first. Of equals, the lower parent, then the lower token.
    """
    increments, ids = log_p.top(beam)  # [n*K, k]
    by_token = ids.argsort(axis=1)  # for the order of equals
    ids = np.take_along_axis(ids, by_token, axis=1)
    n, k = len(totals), ids.shape[1]
    increments = np.take_along_axis(increments, by_token, axis=1).reshape(n, -1, k)
    reached = (totals[:, :, None] + increments).reshape(n, -1)  # [n, K*k]
    at = _descending(reached)[:, :beam]  # [n, K']
    best = np.take_along_axis(reached, at, axis=1)
    return best, at // k, np.take_along_axis(ids.reshape(n, -1), at, axis=1)


def _descending(values: np.ndarray) -> np.ndarray:
    """The order [n, M] of each row of values [n, M], largest first; of equals, the first."""
    return np.argsort(-values, axis=1, kind="stable")


@dataclass(frozen=True)
class _Step:
    """What a step added, for every sentence of the batch: parents and tokens, [B, K] int64."""

    parents: np.ndarray
    tokens: np.ndarray

    @classmethod
    def record(cls, B: int, rows: np.ndarray, parents: np.ndarray, tokens: np.ndarray) -> _Step:
        """Spread parents and tokens [n, K] of the sentences rows [n] over the batch."""
        both = np.zeros((2, B, parents.shape[1]), np.int64)
        both[0, rows], both[1, rows] = parents, tokens
        return cls(both[0], both[1])


@dataclass(frozen=True)
class _Pool:
    """The best candidates of each sentence, best first; changed in place. Each [B, P].

    P is n_best. score (-inf where empty) and total: float64. length and slot, int64: the
    candidate's tokens, without EOS, are those of the slot-th live hypothesis after step `length`.
    """

    score: np.ndarray
    total: np.ndarray
    length: np.ndarray
    slot: np.ndarray

    @classmethod
    def empty(cls, B: int, size: int) -> _Pool:
        """A pool for B sentences without a candidate."""
        blank = np.full((B, size), -math.inf)
        zeros = np.zeros((B, size), np.int64)
        return cls(blank, blank.copy(), zeros, zeros.copy())

    def add(self, rows: np.ndarray, totals: np.ndarray, penalty: float, length: int) -> None:
        """Offer each live hypothesis of the sentences rows [n]: totals [n, K], -inf for none."""
        scores = np.concatenate([self.score[rows], totals / penalty], axis=1)  # [n, P+K]
        kept = _descending(scores)[:, : self.score.shape[1]]  # [n, P], the present come first
        slots = np.broadcast_to(np.arange(totals.shape[1]), totals.shape)  # [n, K]
        lengths = np.full(totals.shape, length)
        self.score[rows] = np.take_along_axis(scores, kept, axis=1)
        for mine, new in ((self.total, totals), (self.length, lengths), (self.slot, slots)):
            both = np.concatenate([mine[rows], new], axis=1)
            mine[rows] = np.take_along_axis(both, kept, axis=1)

    def add_where_empty(
        self, where: np.ndarray, rows: np.ndarray, totals: np.ndarray, penalty: float, length: int
    ) -> None:
        """Offer as `add` does, of those sentences in `where` [n] bool that hold nothing yet."""
        empty = where & (self.score[rows, 0] == -math.inf)
        self.add(rows, np.where(empty[:, None], totals, -math.inf), penalty, length)


def _collect(pool: _Pool, steps: list[_Step], maximum: np.ndarray) -> list[list[Hypothesis]]:
    """What the pool holds, its tokens traced back through the steps."""
    require_finite(pool.score[:, 0])
    length, slot = pool.length, pool.slot  # [B, P]
    backwards = []
    for at in range(len(steps) - 1, -1, -1):
        inside = length > at
        here = np.where(inside, slot, 0)  # what is not inside yet may point past this step's slots
        backwards.append(np.take_along_axis(steps[at].tokens, here, axis=1))
        slot = np.where(inside, np.take_along_axis(steps[at].parents, here, axis=1), slot)
    if not backwards:
        return []
    tokens = np.stack(backwards[::-1], axis=2)  # [B, P, T]
    fields = zip(
        tokens.tolist(),
        length.tolist(),
        pool.total.tolist(),
        pool.score.tolist(),
        (length < maximum[:, None]).tolist(),  # ended by EOS: a cut one has all the tokens
        strict=True,
    )
    return [
        [
            Hypothesis(path[:size], total, score, finished)
            for path, size, total, score, finished in zip(*sentence, strict=True)
            if score > -math.inf
        ]
        for sentence in fields
    ]
