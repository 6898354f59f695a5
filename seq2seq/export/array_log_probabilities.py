"""Log-probabilities as a NumPy array, and a fast search for the largest values of each row.

Shapes use these letters: N hypotheses, V size of the vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_LAYERS = 16
_NARROW = 256  # columns of a layer; fewer are searched at once
_FEW = 32


class ArrayLogProbabilities:
    """Log-probabilities in a NumPy array [N, V], which this object may change in place.

    Implements the protocol `seq2seq.decoding.engine.LogProbabilities`.
    """

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def exclude(self, tokens: Sequence[int]) -> None:
        for token in tokens:  # twice as fast as an index of several columns
            self.values[:, token] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        values: np.ndarray = self.values[np.arange(len(tokens)), tokens].astype(np.float64)
        return values

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        ids, values = largest_columns(self.values, min(k, self.values.shape[1]))
        return values.astype(np.float64), ids

    def all(self) -> np.ndarray:
        return self.values


def pick(values: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return values[i, columns[i, j]], [N, k].

    The result is that of `np.take_along_axis`, but takes half the time.

    values: [N, V], contiguous.
    columns: [N, k] int64.
    """
    N, V = values.shape
    picked: np.ndarray = values.reshape(-1).take(columns + (np.arange(N) * V)[:, None])
    return picked


def largest_columns(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and the values of the k largest values of each row, largest first.

    The columns are [N, k] int64, and the values are [N, k].

    values: [N, V].

    A long row is divided into chunks of 16 values. The k largest values must be in the k chunks
    with the largest maxima, so only these chunks are searched. If values are equal, the choice
    depends only on k and on the values of the row.
    """
    if k == 1:
        likeliest: np.ndarray = values.argmax(axis=1)[:, None]
        return likeliest, pick(values, likeliest)
    N, V = values.shape
    width = V // _LAYERS
    if width < _NARROW or width < 4 * k:
        return _peel(values.copy(), k)
    whole = width * _LAYERS
    columns, _ = _peel(values[:, :whole].reshape(N, _LAYERS, width).max(axis=1), k)  # [N, k]
    ids = (columns[:, None, :] + np.arange(0, whole, width)[:, None]).reshape(N, -1)  # [N, 16 k]
    if whole < V:
        rest = np.broadcast_to(np.arange(whole, V), (N, V - whole))
        ids = np.concatenate([ids, rest], axis=1)
    start = np.arange(0, N * V, V)[:, None]  # of each row; one flat look-up is several times faster
    picked, largest = _peel(values.ravel().take(ids + start), k)
    return pick(ids, picked), largest


def _peel(values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and the values of the k largest values of each row, [N, k] each.

    values: [N, C]. This function overwrites them.

    Taking the maximum k times is several times faster than a partition if k is small.
    """
    N, C = values.shape
    if k <= _FEW:
        picked, largest = np.empty((k, N), np.int64), np.empty((k, N), values.dtype)
        flat, start = values.reshape(-1), np.arange(0, N * C, C)
        for place in range(k):
            picked[place] = values.argmax(axis=1)
            at = picked[place] + start
            largest[place] = flat[at]
            flat[at] = -math.inf
        if (largest[-1] > -math.inf).all():
            return picked.T, largest.T
        for place in range(k - 1, -1, -1):  # a row has less than k finite values
            flat[picked[place] + start] = largest[place]
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return order, pick(values, order)
