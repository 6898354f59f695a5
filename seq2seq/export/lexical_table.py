"""The most likely translations of each source token: IBM model 1 (Brown et al. 1993).

The probabilities p(t | s) are estimated from the training pairs by expectation maximisation. Each
token of a target may be the translation of each token of its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np

_ITERATIONS = 4
_PAIRS = 100_000  # enough to see which tokens belong together
_LONGEST = 80  # tokens; longer pairs say little and cost the square of their length

Pair = tuple[Sequence[int], Sequence[int]]


def learn_lexical_table(pairs: Iterable[Pair], sizes: tuple[int, int], best: int) -> np.ndarray:
    """Return the `best` most likely target tokens of each source token, [source V, best] int32.

    pairs: the token ids of source and target. At most 100,000 pairs are read.
    sizes: the sizes of the source vocabulary and of the target vocabulary.

    If a source token occurs with fewer than `best` target tokens, the rest of its row is -1.
    """
    links_of = ((len(source) * len(target), source, target) for source, target in pairs)
    kept = [pair for count, *pair in islice(links_of, _PAIRS) if 0 < count <= _LONGEST**2]
    sources = [np.asarray(source, np.int64) for source, _ in kept]
    targets = [np.asarray(target, np.int64) for _, target in kept]
    # A link joins a source position and a target position of one pair.
    pairs_of = [
        (s[None, :] * sizes[1] + t[:, None]).ravel() for s, t in zip(sources, targets, strict=True)
    ]
    links = np.concatenate([np.zeros(0, np.int64), *pairs_of])
    repeats = [np.full(len(t), len(s)) for s, t in zip(sources, targets, strict=True)]
    per_target = np.concatenate([np.zeros(0, np.int64), *repeats])
    place = np.repeat(np.arange(len(per_target)), per_target)  # the target position of each link
    known, link = np.unique(links, return_inverse=True)
    source, target = np.divmod(known, sizes[1])
    probability = np.ones(len(known))
    for _ in range(_ITERATIONS):
        weight = probability[link]
        weight /= np.bincount(place, weight)[place]
        counts = np.bincount(link, weight, minlength=len(known))
        probability = counts / np.bincount(source, counts, minlength=sizes[0])[source]
    table = np.full((sizes[0], best), -1, np.int32)
    order = np.lexsort((target, -probability, source))
    first = np.searchsorted(source[order], np.arange(sizes[0]))
    rank = np.arange(len(order)) - first[source[order]]
    near = rank < best
    table[source[order][near], rank[near]] = target[order][near]
    return table
