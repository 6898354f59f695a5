"""What every search shares: its limits, its result, and the loop that follows one path a sentence.

Letters: B sentences of the batch, K beam, N rows, T steps, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.decoding.engine import Engine, LogProbabilities, State

Choose = Callable[[LogProbabilities, np.ndarray], np.ndarray]
"""(log-probabilities of N rows, rows [N] int64: the sentence of each) → tokens [N] int64."""


@dataclass(frozen=True)
class Limits:
    """How long a hypothesis may be, in tokens.

    minimum: tokens before EOS may come, at least 1. maximum [B] int64, each at least 1: the
    longest hypothesis of each sentence, EOS counted; one that has not ended by then is cut there,
    unfinished. Where the two conflict, the maximum holds. Raises ValueError otherwise.
    """

    minimum: int
    maximum: np.ndarray

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise ValueError(f"minimum is {self.minimum}, must be at least 1")
        if self.maximum.ndim != 1 or self.maximum.dtype != np.int64:
            raise ValueError("maximum must be one int64 per source sentence")
        if self.maximum.size and int(self.maximum.min()) < 1:
            raise ValueError("maximum must be at least 1 for every sentence")


@dataclass(frozen=True)
class Specials:
    """The ids a search treats apart. forbidden: never emitted (padding, unknown, BOS).

    Forbidden tokens are masked, and the others not renormalised: a hypothesis scores what teacher
    forcing gives for it. Raises ValueError when EOS is among the forbidden.
    """

    bos: int
    eos: int
    forbidden: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.eos in self.forbidden:
            raise ValueError("EOS must not be forbidden")


@dataclass(frozen=True)
class Hypothesis:
    """One result of a search.

    tokens: without BOS and EOS. log_probability: Σ log p, natural logarithm, of EOS too when
    finished. score: log_probability / length^alpha, EOS counted in the length when finished.
    finished: ended by EOS rather than cut at the maximum.
    """

    tokens: list[int]
    log_probability: float
    score: float
    finished: bool


def penalties(longest: int, alpha: float) -> np.ndarray:
    """length^alpha for the lengths 0 … longest, [longest + 1] float64.

    The sum of log-probabilities is divided by it (Wu et al. 2016, equation 14, smooths
    it; alpha 0 leaves the sum, 1 gives the mean). ValueError unless alpha is finite and >= 0: below
    0, the bound by which a beam search stops would not hold.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"the length penalty's alpha is {alpha}, must be finite and at least 0")
    return np.arange(longest + 1, dtype=np.float64) ** alpha


def follow(
    engine: Engine[State],
    state: State,
    limits: Limits,
    specials: Specials,
    alpha: float,
    choose: Choose,
) -> list[list[Hypothesis]]:
    """Follow one path per sentence, each next token picked by `choose`; greedy and sampling.

    state: B rows, one per source sentence. Forbidden tokens, and EOS before `limits.minimum`
    tokens, are excluded before `choose` is asked. Sentences that have ended leave the batch.
    Returns B lists of one hypothesis each. Raises ValueError for a bad alpha, ArithmeticError where
    the model gave no permitted token a finite log-probability.
    """
    maximum = limits.maximum
    B = len(maximum)
    penalty = penalties(int(maximum.max()) if B else 0, alpha)
    early = (*specials.forbidden, specials.eos)
    rows = np.arange(B)  # [N], N = B at first
    tokens = np.full(B, specials.bos)  # [N]
    totals = np.zeros(B)
    written: list[np.ndarray] = []  # T times [B]
    for length in range(1, len(penalty)):
        log_p, state = engine.step(state, tokens)
        log_p.exclude(specials.forbidden if length > limits.minimum else early)
        tokens = choose(log_p, rows)  # [N]
        totals[rows] += log_p.at(tokens)
        step = np.full(B, specials.eos)
        step[rows] = tokens
        written.append(step)
        going = ((tokens != specials.eos) & (length < maximum[rows])).nonzero()[0]
        if len(going) == 0:
            break
        if len(going) < len(rows):
            rows, tokens, state = rows[going], tokens[going], engine.select(state, going)
    return _collect(written, totals, penalty, maximum, specials.eos)


def force(
    engine: Engine[State], state: State, targets: Sequence[Sequence[int]], bos: int
) -> list[float]:
    """The log-probability of each target by teacher forcing, one step a token.

    state: B rows, one per source sentence. targets: the ids of each, EOS among them where it
    counts. Returns Σ log p, natural logarithm, of each.
    """
    lengths = np.array([len(ids) for ids in targets], np.int64)
    longest = int(lengths.max(initial=0))
    outputs = np.zeros((len(targets), longest), np.int64)  # [B, T]
    for row, ids in enumerate(targets):
        outputs[row, : len(ids)] = ids
    tokens = np.full(len(targets), bos)
    totals = np.zeros(len(targets))
    for t in range(longest):
        log_p, state = engine.step(state, tokens)
        tokens = outputs[:, t]
        totals += np.where(t < lengths, log_p.at(tokens), 0.0)
    return [float(total) for total in totals]


def _collect(
    written: list[np.ndarray],
    totals: np.ndarray,
    penalty: np.ndarray,
    maximum: np.ndarray,
    eos: int,
) -> list[list[Hypothesis]]:
    if not written:
        return []
    require_finite(totals)
    results = []
    powers = penalty[: len(written) + 1].tolist()
    paths = np.stack(written, axis=1).tolist()  # [B, T]
    for path, total, longest in zip(paths, totals.tolist(), maximum.tolist(), strict=True):
        kept = path[:longest]
        finished = eos in kept
        tokens = kept[: kept.index(eos)] if finished else kept
        score = total / powers[len(tokens) + finished]
        results.append([Hypothesis(tokens, total, score, finished)])
    return results


def require_finite(totals: np.ndarray) -> None:
    """totals [B]: ArithmeticError, naming the first sentence whose total is not finite."""
    broken = (~np.isfinite(totals)).nonzero()[0]
    if len(broken):
        raise ArithmeticError(
            f"sentence {int(broken[0])} of the batch: the model gave no permitted token a finite "
            "log-probability"
        )
