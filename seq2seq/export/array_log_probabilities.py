"""Log-probabilities as a NumPy array, and the search for the largest of many columns.

Letters: N rows, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_LAYERS = 16
_NARROW = 256  # columns of a layer; fewer are searched at once
_FEW = 32


class ArrayLogProbabilities:
    """Implements `seq2seq.decoding.engine.LogProbabilities` over an array [N, V], which it owns."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def exclude(self, tokens: Sequence[int]) -> None:
        """Set these tokens to -inf in all rows."""
        self.values[:, list(tokens)] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """tokens [N] int64 → their log-probabilities [N] float64."""
        values: np.ndarray = self.values[np.arange(len(tokens)), tokens].astype(np.float64)
        return values

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most likely tokens of each row: values [N, k] float64, ids [N, k] int64."""
        ids = largest_columns(self.values, min(k, self.values.shape[1]))
        return np.take_along_axis(self.values, ids, axis=1).astype(np.float64), ids

    def all(self) -> np.ndarray:
        """[N, V] float32."""
        return self.values


def largest_columns(values: np.ndarray, k: int) -> np.ndarray:
    """The ids [N, k] int64 of the k largest values of each row, largest first. values: [N, V].

    Many columns are laid in 16 layers. The k largest values lie below the k largest maxima over the
    layers. Of equal values in one layer, the lowest id is taken.
    """
    if k == 1:
        likeliest: np.ndarray = values.argmax(axis=1)[:, None]
        return likeliest
    N, V = values.shape
    width = V // _LAYERS
    if width < _NARROW or width < 4 * k:
        return _peel(values.copy(), k)
    whole = width * _LAYERS
    columns = _peel(values[:, :whole].reshape(N, _LAYERS, width).max(axis=1), k)  # [N, k]
    ids = (columns[:, None, :] + np.arange(0, whole, width)[:, None]).reshape(N, -1)  # [N, 16 k]
    if whole < V:
        rest = np.broadcast_to(np.arange(whole, V), (N, V - whole))
        ids = np.concatenate([ids, rest], axis=1)
    start = np.arange(0, N * V, V)[:, None]  # of each row; one flat look-up is several times faster
    picked = _peel(values.ravel().take(ids + start), k)
    largest: np.ndarray = np.take_along_axis(ids, picked, axis=1)
    return largest


def _peel(values: np.ndarray, k: int) -> np.ndarray:
    """The columns [N, k] of the k largest values [N, C], largest first. Changes `values`.

    Taking the maximum k times is several times faster than a partition, if k is small.
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
            return picked.T
        for place in range(k - 1, -1, -1):  # a row has less than k finite values
            flat[picked[place] + start] = largest[place]
    order: np.ndarray = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return order
