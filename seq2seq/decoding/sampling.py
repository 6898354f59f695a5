"""Sampling from the model, each sentence with random numbers of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count

import numpy as np

from seq2seq.decoding.engine import Engine, LogProbabilities, State
from seq2seq.decoding.options import sampling_problems
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, follow

Sampler = Callable[[LogProbabilities, np.ndarray], np.ndarray]
"""(log-probabilities of N rows, N uniform numbers from [0, 1)) → tokens [N] int64."""


def sample_search(
    engine: Engine[State],
    state: State,
    limits: Limits,
    specials: Specials,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    seeds: Sequence[Sequence[int]],
    alpha: float,
) -> list[list[Hypothesis]]:
    """Draw y_t from p(y | y_<t)^(1/temperature), cut to the likeliest tokens and renormalised.

    state: B rows, one per source sentence. top_k: how many tokens are kept (Fan et al. 2018), 0
    for all. top_p: of those, the smallest set whose mass reaches it (Holtzman et al. 2020), 1.0
    for all; with top_k off it sorts all V, which takes longer than a small model's step.
    seeds: for each of the B sentences, one per sample, the same number n. A sample draws one number
    per token from its own stream, so it does not depend on the batch.

    Returns B lists of n hypotheses each, in the order of the seeds; the log-probability is the
    model's own, not the tempered one. Raises ValueError for a setting out of range, and the
    errors of `stepping.follow`.
    """
    if len(seeds) != len(limits.maximum):
        raise ValueError(f"{len(seeds)} seeds for {len(limits.maximum)} sentences")
    sampler = make_sampler(temperature, top_k, top_p)
    maximum = limits.maximum.tolist()
    samples: list[list[Hypothesis]] = [[] for _ in seeds]
    for of_sample in zip(*seeds, strict=True):
        uniform = np.zeros((len(seeds), max(maximum)))  # [B, T]
        for row, (seed, size) in enumerate(zip(of_sample, maximum, strict=True)):
            uniform[row, :size] = uniform_numbers(seed, size)
        choose = partial(_draw, sampler, uniform, count())
        for drawn, path in zip(
            samples, follow(engine, state, limits, specials, alpha, choose), strict=True
        ):
            drawn.extend(path)
    return samples


def _draw(
    sampler: Sampler,
    uniform: np.ndarray,
    steps: Iterator[int],
    log_p: LogProbabilities,
    rows: np.ndarray,
) -> np.ndarray:
    return sampler(log_p, uniform[rows, next(steps)])


def make_sampler(temperature: float, top_k: int, top_p: float) -> Sampler:
    """Draws one token a row as `sample_search` does. ValueError for a setting out of range."""
    if problems := sampling_problems(temperature, top_k, top_p):
        raise ValueError("; ".join(problems))

    def sampler(log_p: LogProbabilities, uniform: np.ndarray) -> np.ndarray:
        kept, ids = _candidates(log_p, top_k, top_p)  # [N, C], C of V candidates
        weights = _tempered(kept, temperature)  # [N, C]
        if top_p < 1:
            mass = weights.cumsum(axis=1)  # [N, C] of each token and the likelier ones
            weights[:, 1:][mass[:, :-1] >= top_p * mass[:, -1:]] = 0
        if ids is not None:
            # By token: which of two that tie is the likelier depends on the batch.
            order = ids.argsort(axis=1)
            ids = np.take_along_axis(ids, order, axis=1)
            weights = np.take_along_axis(weights, order, axis=1)
        at = _invert(weights, uniform)  # [N]
        tokens: np.ndarray = at if ids is None else ids[np.arange(len(ids)), at]
        return tokens

    return sampler


def seed_of(seed: int, number: int, text: str) -> int:
    """The seed of a line's sample: of the user's seed, the number of the sample and the text."""
    digest = hashlib.blake2b(f"{seed} {number} {text}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "little") >> 1


def uniform_numbers(seed: int, size: int) -> np.ndarray:
    """`size` numbers from [0, 1), [size] float64: those that PyTorch's generator gives for a seed
    (Mersenne Twister, Matsumoto and Nishimura 1998), one 53-bit number out of two words."""
    words = np.random.RandomState(seed & 0xFFFFFFFF).randint(
        0, 1 << 32, size=(size, 2), dtype=np.uint32
    )
    high, low = words.astype(np.uint64).T
    bits = (high << np.uint64(32) | low) & np.uint64((1 << 53) - 1)
    numbers: np.ndarray = bits.astype(np.float64) * 2.0**-53
    return numbers


def _candidates(
    log_p: LogProbabilities, top_k: int, top_p: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """The candidates [N, C], and their ids, or None where candidate i is token i.

    Likeliest first where top_p needs that.
    """
    if top_k:
        return log_p.top(top_k)
    values = log_p.all()
    if top_p < 1:
        ids = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(values, ids, axis=1), ids
    return values, None


def _tempered(log_p: np.ndarray, temperature: float) -> np.ndarray:
    """p^(1/temperature) of log_p [N, C], the largest scaled to 1 so that none can overflow."""
    wide = log_p.astype(np.float64)
    with np.errstate(invalid="ignore"):  # rows without a finite value: `follow` refuses them
        wide -= wide.max(axis=1, keepdims=True)
    wide /= temperature
    return np.exp(wide, out=wide)


def _invert(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The index that falls to uniform [N] in the distribution weights [N, C], which need not sum
    to 1: the first whose cumulated weight exceeds uniform · total. One of weight 0 never does."""
    cumulated = weights.cumsum(axis=1)  # [N, C]
    total = cumulated[:, -1]  # [N]
    below = np.nextafter(total, 0.0)  # rounding up must not reach the total
    threshold = np.minimum(uniform * total, below)
    at: np.ndarray = (cumulated <= threshold[:, None]).sum(axis=1)  # [N]
    last: np.ndarray = np.minimum(at, weights.shape[1] - 1)
    return last  # past the end where there are NaNs
