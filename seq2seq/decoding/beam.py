"""Beam search that stops as soon as no live hypothesis can still enter the n-best list.

A live hypothesis does not end in EOS yet. Each step extends every live hypothesis of a sentence by
one token. A hypothesis that is extended by EOS is finished and enters the pool of the sentence, if
it is among the `n_best` best finished hypotheses. Of the hypotheses that are extended by another
token, the `beam` best stay alive. Finished hypotheses take no place in the beam, so the search is
exhaustive if beam >= V^(T-1), with V tokens in the vocabulary and T steps.

The search for a sentence ends when the pool is full and no live hypothesis can still beat the worst
hypothesis in the pool. Log-probabilities are <= 0, so a live hypothesis with the sum s can never
score above s / maximum^alpha. This bound is exact. The search also ends at the maximum length. If
the pool is then empty, the live hypotheses are returned as unfinished hypotheses.

Three rules rank hypotheses with equal scores, in this order: the hypothesis that entered the pool
first ranks higher, then the hypothesis with the better parent, then the hypothesis with the lower
token id. The engine breaks one kind of tie. `LogProbabilities.top` selects the `beam` best tokens
after a parent. If the last of them is as likely as a token that is left out, the engine decides
which of the two is selected, because a stable sort of all V tokens would take longer than the model
itself. On a CPU, the result for a sentence does not depend on the rest of the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seq2seq.decoding.engine import Engine, LogProbabilities, State
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, penalties, require_finite
from seq2seq.export.array_log_probabilities import pick


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
    """Return the hypotheses with the highest scores Σ log p / length^alpha for each sentence.

    The sum and the length include EOS.

    state: the state before the first token, with B rows, one for each source sentence.
    beam: the number of live hypotheses of a sentence.
    n_best: the largest number of hypotheses to return for a sentence.

    Returns B lists in the order of the sentences, each with 1 to n_best hypotheses, best first. If
    a sentence has no finished hypothesis, its list holds unfinished hypotheses.
    Raises ValueError if beam or n_best is below 1 or alpha is below 0. Raises NoTokenError if
    the model gives no permitted token a finite log-probability.
    """
    if beam < 1 or n_best < 1:
        raise ValueError(f"beam ({beam}) and n_best ({n_best}) must both be at least 1")
    maximum = limits.maximum
    B = len(maximum)
    penalty = penalties(int(maximum.max()) if B else 0, alpha)  # [T + 1]
    pool = _Pool.empty(B, n_best)
    masked = (*specials.forbidden, specials.eos)
    cuts = set(maximum.tolist())
    ceiling = penalty[maximum]  # [n], n = B at first: the penalty of the longest hypothesis
    steps: list[_Step] = []
    rows = np.arange(B)  # [n], n = B at first: the sentences that are still being searched
    totals = np.zeros((B, 1))  # [n, K], K = 1 at first: Σ log p of live hypotheses, -inf if none
    tokens = np.full(B, specials.bos)  # [n*K]
    for length in range(1, len(penalty)):
        log_p, state = engine.step(state, tokens)  # n*K rows
        if length > limits.minimum:
            ended = totals + log_p.at(np.full(len(tokens), specials.eos)).reshape(totals.shape)
            pool.add(rows, ended, penalty[length], length - 1)
        log_p.exclude(masked)
        totals, parents, chosen = _extend(log_p, totals, beam)  # [n, K] each
        steps.append(_Step(rows, parents, chosen))
        bound = totals[:, 0] / ceiling  # [n], column 0 is the best
        leaving = bound <= pool.score[rows, -1]
        if length in cuts:
            cut = maximum[rows] == length  # [n]
            pool.add_where_empty(cut, rows, totals, penalty[length], length)
            pool.outdone[rows[cut]] = (totals[:, 0] / penalty[length] > pool.score[rows, 0])[cut]
            leaving |= cut
        going = (~leaving).nonzero()[0]  # [n']
        if len(going) == 0:
            break
        origins = parents + np.arange(0, len(tokens), len(tokens) // len(rows))[:, None]  # [n, K]
        if len(going) < len(rows):
            rows, ceiling, totals = rows[going], ceiling[going], totals[going]
            origins, chosen = origins[going], chosen[going]
        state, tokens = engine.select(state, origins.ravel()), chosen.ravel()  # n'*K rows
    return _collect(pool, steps, maximum)


def _extend(
    log_p: LogProbabilities, totals: np.ndarray, beam: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best continuations of the K live hypotheses of each of n sentences.

    log_p: [n*K, V], the log-probabilities of the next token.
    totals: [n, K], Σ log p of each live hypothesis.

    Returns the new totals, the parents (0 … K-1) and the tokens of the continuations, best first.
    All three are [n, K'] with K' = min(beam, K*V). In a tie, the lower parent comes first, then the
    lower token.
    """
    increments, ids = log_p.top(beam)  # [n*K, k]
    (n, K), k = totals.shape, ids.shape[1]
    reached = (totals.reshape(-1, 1) + increments).reshape(n, -1)  # [n, K*k]
    ids = ids.reshape(n, -1)
    row = np.arange(n * K).repeat(k).reshape(n, -1)  # of the parent
    at = np.lexsort((ids, row, -reached))[:, :beam]  # [n, K'], sorted by the last key first
    return pick(reached, at), at // k, pick(ids, at)


def _descending(values: np.ndarray) -> np.ndarray:
    return np.argsort(-values, axis=1, kind="stable")


@dataclass(frozen=True)
class _Step:
    """The beams of n sentences with K hypotheses after one search step.

    rows: [n] int64, the numbers of the sentences.
    parents: [n, K] int64, the position of each hypothesis's parent in the beam of the last step.
    tokens: [n, K] int64, the last token of each hypothesis.
    """

    rows: np.ndarray
    parents: np.ndarray
    tokens: np.ndarray


@dataclass(frozen=True)
class _Pool:
    """The best finished hypotheses of each sentence, called candidates. Methods change the arrays.

    Most arrays are [B, P] for B sentences and P = n_best candidates, best first.

    score: float64, the score with length penalty; -inf for an entry without a candidate.
    total: float64, Σ log p.
    length: int64, the number of tokens without EOS.
    slot: int64, the position of the candidate, without its EOS, in the beam after step `length`.
    outdone: [B] bool, whether a live hypothesis with a higher score than the best candidate was cut
        at the maximum length.
    """

    score: np.ndarray
    total: np.ndarray
    length: np.ndarray
    slot: np.ndarray
    outdone: np.ndarray

    @classmethod
    def empty(cls, B: int, size: int) -> _Pool:
        """Return an empty pool with room for `size` candidates for each of B sentences."""
        blank = np.full((B, size), -math.inf)
        zeros = np.zeros((B, size), np.int64)
        return cls(blank, blank.copy(), zeros, zeros.copy(), np.zeros(B, bool))

    def add(self, rows: np.ndarray, totals: np.ndarray, penalty: float, length: int) -> None:
        """Add up to K candidates to the pool of each sentence in `rows`, and keep the best.

        rows: [n], the numbers of the sentences.
        totals: [n, K], Σ log p of the candidates; -inf means that there is no candidate.
        penalty: the divisor that turns a total into a score.
        length: the number of tokens of the candidates, without EOS.
        """
        scores = totals / penalty  # [n, K]
        entering = (scores.max(axis=1) > self.score[rows, -1]).nonzero()[0]
        if len(entering) == 0:
            return
        rows, totals, scores = rows[entering], totals[entering], scores[entering]
        if self.score.shape[1] == 1:  # without n-best lists, only the best candidate counts
            slots = scores.argmax(axis=1)[:, None]
            self.score[rows], self.total[rows] = pick(scores, slots), pick(totals, slots)
            self.length[rows], self.slot[rows] = length, slots
            return
        scores = np.concatenate([self.score[rows], scores], axis=1)  # [n, P+K]
        kept = _descending(scores)[:, : self.score.shape[1]]  # [n, P], older ones win ties
        slots = np.broadcast_to(np.arange(totals.shape[1]), totals.shape)  # [n, K]
        lengths = np.full(totals.shape, length)
        self.score[rows] = pick(scores, kept)
        for mine, new in ((self.total, totals), (self.length, lengths), (self.slot, slots)):
            mine[rows] = pick(np.concatenate([mine[rows], new], axis=1), kept)

    def add_where_empty(
        self, where: np.ndarray, rows: np.ndarray, totals: np.ndarray, penalty: float, length: int
    ) -> None:
        """Add candidates as `add` does, but only for sentences whose pool is still empty.

        where: [n] bool, whether a sentence in `rows` may receive candidates at all.
        """
        empty = where & (self.score[rows, 0] == -math.inf)
        self.add(rows, np.where(empty[:, None], totals, -math.inf), penalty, length)


def _collect(pool: _Pool, steps: list[_Step], maximum: np.ndarray) -> list[list[Hypothesis]]:
    """Return the hypotheses of each sentence, with tokens traced back through the search steps."""
    require_finite(pool.score[:, 0])
    length, slot = pool.length, pool.slot  # [B, P]
    place = np.zeros((len(maximum), 1), np.int64)  # row of each sentence in a step, or 0
    backwards = []
    for at in range(len(steps) - 1, -1, -1):
        inside = length > at
        here = np.where(inside, slot, 0)  # a later slot may not exist here
        place[steps[at].rows, 0] = np.arange(len(steps[at].rows))
        backwards.append(steps[at].tokens[place, here])
        slot = np.where(inside, steps[at].parents[place, here], slot)
    if not backwards:
        return []
    tokens = np.stack(backwards[::-1], axis=2)  # [B, P, T]
    fields = zip(
        tokens.tolist(),
        length.tolist(),
        pool.total.tolist(),
        pool.score.tolist(),
        (length < maximum[:, None]).tolist(),  # a hypothesis that was cut has `maximum` tokens
        np.broadcast_to(pool.outdone[:, None], length.shape).tolist(),
        strict=True,
    )
    return [
        [
            Hypothesis(path[:size], total, score, finished, outdone)
            for path, size, total, score, finished, outdone in zip(*sentence, strict=True)
            if score > -math.inf
        ]
        for sentence in fields
    ]
