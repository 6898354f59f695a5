"""Log-probabilities of the candidates of a shortlist.

The first columns belong to the frequent tokens, which every source allows. The other columns belong
to rare tokens, of which each source has its own.

Letters: B sources, K rows of each, N = B · K, m frequent tokens, n rare tokens of a source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seq2seq.export.array_log_probabilities import ArrayLogProbabilities


class CandidateLogProbabilities(ArrayLogProbabilities):
    """Log-probabilities [N, m + n] of some tokens; all others have -inf.

    frequent: the tokens of the first columns, [m] int64. column: the column of each token of the
    vocabulary, [V] int64, or -1 for a token that is not frequent. rare: the tokens of the other
    columns, [B, n] int64, or [1, n] if all sources have the same; -1 if a source has fewer.
    Of equal values, `top` prefers frequent tokens, then the lowest id.
    """

    def __init__(
        self, values: np.ndarray, frequent: np.ndarray, column: np.ndarray, rare: np.ndarray
    ) -> None:
        super().__init__(values)
        self.frequent, self.column, self.rare = frequent, column, rare

    @property
    def _rare_values(self) -> np.ndarray:
        """A view of the values of the rare tokens, [B, K, n]."""
        rows = self.values.reshape(len(self.rare), -1, self.values.shape[1])
        return rows[:, :, len(self.frequent) :]

    def exclude(self, tokens: Sequence[int]) -> None:
        """Set these tokens to -inf in all rows."""
        wanted = np.asarray(tokens)
        columns = self.column[wanted]
        self.values[:, columns[columns >= 0]] = -math.inf
        for token in wanted[columns < 0].tolist():
            hits = self.rare == token  # [B, n]
            if hits.any():
                self._rare_values.swapaxes(1, 2)[hits] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """tokens [N] int64 → their log-probabilities [N] float64."""
        columns = self.column[tokens]
        if (columns >= 0).all():
            return super().at(columns)
        same = self.rare[self._sources(len(tokens))] == tokens[:, None]  # [N, n]
        columns = np.where(columns >= 0, columns, len(self.frequent) + same.argmax(axis=1))
        present = same.any(axis=1) | (columns < len(self.frequent))
        return np.where(present, super().at(columns), -math.inf)

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most likely tokens of each row: values [N, k] float64, ids [N, k] int64."""
        values, columns = super().top(k)
        m = len(self.frequent)
        ids = self.frequent.take(columns, mode="clip")
        row, place = np.nonzero(columns >= m)
        tokens = self.rare[self._sources(len(columns))[row], columns[row, place] - m]
        ids[row, place] = np.maximum(tokens, 0)  # a missing token has -inf
        return values, ids

    def all(self) -> np.ndarray:
        """[N, V] float32."""
        N, m = len(self.values), len(self.frequent)
        whole = np.full((N, len(self.column)), -math.inf, np.float32)
        rare = self.rare[self._sources(N)]
        row, place = np.nonzero(rare >= 0)
        whole[row, rare[row, place]] = self.values[:, m:][row, place]
        whole[:, self.frequent] = self.values[:, :m]
        return whole

    def _sources(self, rows: int) -> np.ndarray:
        """Return the row of `rare` that each row reads, [N]."""
        return np.arange(rows) // (rows // len(self.rare))
