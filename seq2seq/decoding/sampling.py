"""Sampling from the model. Each sample has its own stream of random numbers."""

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
"""A function that draws one token for each of N rows.

Takes the log-probabilities of N rows and N uniform random numbers from [0, 1). Returns the drawn
tokens, [N] int64.
"""


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
    """Sample n hypotheses for each sentence, token by token.

    The token y_t is drawn with a probability proportional to p(y_t | y_<t)^(1/temperature).

    state: the state before the first token, with B rows, one for each source sentence.
    top_k: draw only from the k most likely tokens (Fan et al. 2018). 0 keeps all tokens.
    top_p: draw only from the smallest set of most likely tokens whose total probability reaches
    top_p (Holtzman et al. 2020). 1.0 keeps all tokens. top_p is applied after top_k. Without top_k,
    top_p sorts all V tokens, which takes longer than one step of a small model.
    seeds: B lists of n seeds, one seed for each sample. Each sample has its own random stream, so a
    sample does not depend on the rest of the batch.
    alpha: the exponent of the length penalty in the score.

    Returns B lists of n hypotheses, in the order of the seeds. Their log-probabilities do not
    depend on temperature, top_k and top_p. Raises ValueError for a setting out of range, and the
    errors of `stepping.follow`.
    """
    if len(seeds) != len(limits.maximum):
        raise ValueError(
            f"seeds has {len(seeds)} lists for {len(limits.maximum)} sentences: pass one list of "
            "seeds for each sentence"
        )
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
    """Return a function that draws one token for each row, as `sample_search` describes.

    Raises ValueError for a setting out of range.
    """
    if problems := sampling_problems(temperature, top_k, top_p):
        raise ValueError("; ".join(problems))

    def sampler(log_p: LogProbabilities, uniform: np.ndarray) -> np.ndarray:
        kept, ids = _candidates(log_p, top_k, top_p)  # [N, C], C of V candidates
        weights = _tempered(kept, temperature)  # [N, C]
        if top_p < 1:
            mass = weights.cumsum(axis=1)  # [N, C], mass of each token and all more likely ones
            weights[:, 1:][mass[:, :-1] >= top_p * mass[:, -1:]] = 0
        if ids is not None:
            # Sort by token id: the order of equally likely tokens may depend on the batch.
            order = ids.argsort(axis=1)
            ids = np.take_along_axis(ids, order, axis=1)
            weights = np.take_along_axis(weights, order, axis=1)
        at = _invert(weights, uniform)  # [N]
        tokens: np.ndarray = at if ids is None else ids[np.arange(len(ids)), at]
        return tokens

    return sampler


def seed_of(seed: int, number: int, text: str) -> int:
    """Derive the seed of one sample from the user's seed, the sample number and the text."""
    digest = hashlib.blake2b(f"{seed} {number} {text}".encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "little") >> 1


def uniform_numbers(seed: int, size: int) -> np.ndarray:
    """Return random numbers from the range [0, 1) for a seed, as an array [size] float64.

    PyTorch's CPU generator gives the same numbers for the same seed (Mersenne Twister, Matsumoto
    and Nishimura 1998). Each number has 53 random bits, which come from two 32-bit words.
    """
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
    """Return the log-probabilities and the ids of the C candidate tokens of each row, both [N, C].

    If all V tokens are candidates in the order of their ids, None is returned instead of the ids.
    Otherwise, the most likely candidate comes first.
    """
    if top_k:
        return log_p.top(top_k)
    values = log_p.all()
    if top_p < 1:
        ids = np.argsort(-values, axis=1, kind="stable")
        return np.take_along_axis(values, ids, axis=1), ids
    return values, None


def _tempered(log_p: np.ndarray, temperature: float) -> np.ndarray:
    """Return p^(1/temperature), scaled so that the maximum of each row is 1.

    log_p: [N, C], the logarithms of the probabilities p.
    """
    wide = log_p.astype(np.float64)
    # `follow` refuses rows without a finite value. A temperature near 0 keeps only the maximum.
    with np.errstate(invalid="ignore", over="ignore"):
        wide -= wide.max(axis=1, keepdims=True)
        wide /= temperature
    return np.exp(wide, out=wide)


def _invert(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Return one sampled index for each row, [N], by inverse transform sampling.

    weights: [N, C], unnormalised probabilities.
    uniform: [N], uniform random numbers from [0, 1).

    The result is the first index whose cumulative weight exceeds the uniform number times the total
    weight of the row. An index with weight 0 is never selected.
    """
    cumulated = weights.cumsum(axis=1)  # [N, C]
    total = cumulated[:, -1]  # [N]
    below = np.nextafter(total, 0.0)  # so that rounding cannot reach the total
    threshold = np.minimum(uniform * total, below)
    at: np.ndarray = (cumulated <= threshold[:, None]).sum(axis=1)  # [N]
    last: np.ndarray = np.minimum(at, weights.shape[1] - 1)
    return last  # with NaNs, `at` would be past the end
