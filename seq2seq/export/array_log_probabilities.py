"""Log-probabilities as a NumPy array, and the search for the largest of many columns.

Letters: N rows, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

_LAYERS = 32


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

    The columns are laid in 32 layers. The k largest lie below the k largest maxima over the
    layers, which are found at the speed of memory. Of equal values, k = 1 takes the lowest id.
    """
    if k == 1:
        likeliest: np.ndarray = values.argmax(axis=1)[:, None]
        return likeliest
    N, V = values.shape
    width = V // _LAYERS
    if width < 4 * k:
        return _sorted_largest(values, np.broadcast_to(np.arange(V), values.shape), k)
    layers = values[:, : width * _LAYERS].reshape(N, _LAYERS, width)
    columns = np.argpartition(layers.max(axis=1), width - k, axis=1)[:, width - k :]  # [N, k]
    ids = columns[:, None, :] + np.arange(0, width * _LAYERS, width)[:, None]  # [N, 32, k]
    rest = np.broadcast_to(np.arange(width * _LAYERS, V), (N, V - width * _LAYERS))
    ids = np.concatenate([ids.reshape(N, -1), rest], axis=1)
    start = np.arange(0, N * V, V)[:, None]  # of each row; one flat look-up is several times faster
    return _sorted_largest(values.ravel().take(ids + start), ids, k)


def _sorted_largest(values: np.ndarray, ids: np.ndarray, k: int) -> np.ndarray:
    """The ids [N, k] of the k largest values [N, C], largest first."""
    at = np.arange(values.shape[1])[None]
    if k < values.shape[1]:
        at = np.argpartition(values, values.shape[1] - k, axis=1)[:, values.shape[1] - k :]
    order = np.argsort(-np.take_along_axis(values, at, axis=1), axis=1, kind="stable")
    picked: np.ndarray = np.take_along_axis(ids, np.take_along_axis(at, order, axis=1), axis=1)
    return picked
