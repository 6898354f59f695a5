"""Log-probabilities of the candidates of a shortlist.

Letters: B sources, K rows of each, N = B · K, n candidates of all sources of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seq2seq.export.array_log_probabilities import ArrayLogProbabilities

_STEPS = np.float32(2**24)  # of a probability: float32 counts so far exactly


def normalize_allowed(logits: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """logits [N, n], mask [B, n] (0, or -inf where a source does not allow a candidate) →
    log-probabilities [N, n] float32 over the allowed candidates of each row.

    Which columns there are depends on the batch. So that a row does not, its sum is taken over
    whole numbers, whose order does not matter.
    """
    B, n = mask.shape
    masked = (logits.reshape(B, -1, n) + mask[:, None]).reshape(-1, n)
    largest = masked.max(axis=1, keepdims=True)
    shares = masked - largest
    np.exp(shares, out=shares)
    shares *= _STEPS
    np.rint(shares, out=shares)
    total = shares.sum(axis=1, keepdims=True, dtype=np.float64) / float(_STEPS)
    result: np.ndarray = masked - (largest + np.log(total)).astype(np.float32)
    return result


class CandidateLogProbabilities(ArrayLogProbabilities):
    """Log-probabilities [N, n] of some tokens; all others have -inf.

    ids: the token of each column, [n] int64, sorted. size: V.
    """

    def __init__(self, values: np.ndarray, ids: np.ndarray, size: int) -> None:
        super().__init__(values)
        self.ids, self.size = ids, size

    def _columns(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The column of each token, and whether it has one."""
        columns = np.searchsorted(self.ids, tokens).clip(max=len(self.ids) - 1)
        return columns, self.ids[columns] == tokens

    def exclude(self, tokens: Sequence[int]) -> None:
        """Set these tokens to -inf in all rows."""
        columns, present = self._columns(np.asarray(tokens))
        self.values[:, columns[present]] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """tokens [N] int64 → their log-probabilities [N] float64."""
        columns, present = self._columns(tokens)
        return np.where(present, super().at(columns), -math.inf)

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most likely tokens of each row: values [N, k] float64, ids [N, k] int64."""
        values, columns = super().top(k)
        return values, self.ids[columns]

    def all(self) -> np.ndarray:
        """[N, V] float32."""
        whole = np.full((len(self.values), self.size), -math.inf, np.float32)
        whole[:, self.ids] = self.values
        return whole
