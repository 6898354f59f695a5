"""The parts that all search algorithms share: limits, hypotheses, and a search without a beam.

Shapes use these letters: B sentences of the batch, K beam size, N hypotheses (rows), T steps, V
size of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.decoding.engine import Engine, LogProbabilities, State
from seq2seq.errors import NoTokenError

Choose = Callable[[LogProbabilities, np.ndarray], np.ndarray]
"""A function that chooses the next token of each of N rows.

Takes the log-probabilities of N rows and the sentence number of each row ([N] int64). Returns the
chosen tokens, [N] int64.
"""


@dataclass(frozen=True)
class Limits:
    """The minimum and maximum length of a hypothesis, in tokens.

    minimum: the smallest number of tokens before EOS, at least 1.
    maximum: [B] int64, the largest number of tokens for each of B sentences, including EOS, at
    least 1. A hypothesis that reaches the maximum without EOS is cut and counts as unfinished.

    If the minimum exceeds a maximum, the maximum applies. Raises ValueError for a value out of
    range or for another dtype.
    """

    minimum: int
    maximum: np.ndarray

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise ValueError(f"the minimum length must be at least 1, but is {self.minimum}")
        if self.maximum.ndim != 1 or self.maximum.dtype != np.int64:
            raise ValueError(
                "the argument maximum must be an int64 array with one length for each sentence"
            )
        if self.maximum.size and int(self.maximum.min()) < 1:
            raise ValueError("the maximum length must be at least 1 for every sentence")


@dataclass(frozen=True)
class Specials:
    """The ids of the special tokens that a search needs.

    bos, eos: the ids of BOS and EOS.
    forbidden: the ids that are never generated: padding, unknown and BOS.

    The search masks forbidden tokens and does not renormalise the other probabilities. So teacher
    forcing gives a hypothesis the same score. Raises ValueError if EOS is forbidden.
    """

    bos: int
    eos: int
    forbidden: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.eos in self.forbidden:
            raise ValueError(
                "the end-of-sentence token (EOS) must not be among the forbidden tokens"
            )


@dataclass(frozen=True)
class Hypothesis:
    """One candidate output that a search found for a sentence.

    tokens: the token ids without BOS and EOS.
    log_probability: Σ log p in nats, including EOS if finished.
    score: log_probability / length^alpha. The length includes EOS if finished.
    finished: whether the hypothesis ended by EOS. Otherwise, it was cut at the maximum length.
    outdone: whether a hypothesis with a higher score was cut at the maximum length. Then a longer
    maximum may give a better result.
    """

    tokens: list[int]
    log_probability: float
    score: float
    finished: bool
    outdone: bool = False


def penalties(longest: int, alpha: float) -> np.ndarray:
    """Return the length penalties length^alpha for the lengths 0 … longest, [longest + 1] float64.

    The score of a hypothesis is the sum of its log-probabilities, divided by the length penalty.
    With alpha = 0, the score is the sum. With alpha = 1, the score is the mean. (Wu et al. 2016,
    equation 14, use a smoothed form.)

    Raises ValueError unless alpha is finite and >= 0, because beam search stops at a bound that
    holds only for alpha >= 0.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"the length penalty alpha must be finite and at least 0, but is {alpha}")
    return np.arange(longest + 1, dtype=np.float64) ** alpha


def follow(
    engine: Engine[State],
    state: State,
    limits: Limits,
    specials: Specials,
    alpha: float,
    choose: Choose,
) -> list[list[Hypothesis]]:
    """Generate one hypothesis for each sentence. Greedy search and sampling use this function.

    At each step, `choose` selects the next token of each row. Forbidden tokens cannot be chosen,
    and EOS cannot be chosen before `limits.minimum` tokens. Finished sentences leave the batch.

    state: the state before the first token, with B rows, one for each source sentence.
    alpha: the exponent of the length penalty.

    Returns B lists of one hypothesis each. Raises ValueError for an alpha out of range. Raises
    NoTokenError if the model gives no permitted token a finite log-probability.
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
    """Return the log-probability Σ log p of each target in nats, by teacher forcing.

    The arguments are those of `force_steps`.
    """
    totals = np.zeros(len(targets))
    for _, log_p in force_steps(engine, state, targets, bos):
        totals += log_p
    return [float(total) for total in totals]


def force_steps(
    engine: Engine[State], state: State, targets: Sequence[Sequence[int]], bos: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the tokens of each step [B] int64 and their log-probabilities [B], by teacher forcing.

    A target that has ended has the log-probability 0.

    state: the state before the first token, with B rows, one for each source sentence.
    targets: the token ids of each sentence. EOS counts only if it is among these ids.
    """
    lengths = np.array([len(ids) for ids in targets], np.int64)
    longest = int(lengths.max(initial=0))
    outputs = np.zeros((len(targets), longest), np.int64)  # [B, T]
    for row, ids in enumerate(targets):
        outputs[row, : len(ids)] = ids
    tokens = np.full(len(targets), bos)
    for t in range(longest):
        log_p, state = engine.step(state, tokens)
        tokens = outputs[:, t]
        yield tokens, np.where(t < lengths, log_p.at(tokens), 0.0)


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
    """Raise NoTokenError if the total log-probability of a sentence is NaN or infinite.

    totals: [B], one value for each sentence.
    """
    broken = (~np.isfinite(totals)).nonzero()[0]
    if len(broken):
        raise NoTokenError(int(broken[0]))
