"""Log-probabilities of the candidates of a shortlist.

The first columns belong to the frequent tokens, which every source allows. The other columns belong
to rare tokens, which differ from source to source.

Shapes use these letters: B sources, K hypotheses of each source, N = B · K hypotheses, m frequent
tokens, n rare tokens of a source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from seq2seq.export.array_log_probabilities import ArrayLogProbabilities


class CandidateLogProbabilities(ArrayLogProbabilities):
    """Log-probabilities [N, m + n] of some tokens. All other tokens have the value -inf.

    frequent: the tokens of the first columns, [m] int64.
    column: the column of each token of the vocabulary, [V] int64; -1 for a token that is not
        frequent.
    rare: the tokens of the other columns, [B, n] int64, or [1, n] if they are the same for all
        sources. If a source has fewer than n tokens, the rest is -1.

    Of equally likely tokens, `top` prefers frequent tokens, then the lowest id. Implements the
    protocol `seq2seq.decoding.engine.LogProbabilities`.
    """

    def __init__(
        self, values: np.ndarray, frequent: np.ndarray, column: np.ndarray, rare: np.ndarray
    ) -> None:
        super().__init__(values)
        self.frequent, self.column, self.rare = frequent, column, rare

    @property
    def _rare_values(self) -> np.ndarray:
        rows = self.values.reshape(len(self.rare), -1, self.values.shape[1])
        return rows[:, :, len(self.frequent) :]

    def exclude(self, tokens: Sequence[int]) -> None:
        wanted = np.asarray(tokens)
        columns = self.column[wanted]
        self.values[:, columns[columns >= 0]] = -math.inf
        for token in wanted[columns < 0].tolist():
            hits = self.rare == token  # [B, n]
            if hits.any():
                self._rare_values.swapaxes(1, 2)[hits] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        columns = self.column[tokens]
        if (columns >= 0).all():
            return super().at(columns)
        same = self.rare[self._sources(len(tokens))] == tokens[:, None]  # [N, n]
        columns = np.where(columns >= 0, columns, len(self.frequent) + same.argmax(axis=1))
        present = same.any(axis=1) | (columns < len(self.frequent))
        return np.where(present, super().at(columns), -math.inf)

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        values, columns = super().top(k)
        m = len(self.frequent)
        ids = self.frequent.take(columns, mode="clip")
        row, place = np.nonzero(columns >= m)
        tokens = self.rare[self._sources(len(columns))[row], columns[row, place] - m]
        ids[row, place] = np.maximum(tokens, 0)  # a missing token has -inf
        return values, ids

    def all(self) -> np.ndarray:
        N, m = len(self.values), len(self.frequent)
        whole = np.full((N, len(self.column)), -math.inf, np.float32)
        rare = self.rare[self._sources(N)]
        row, place = np.nonzero(rare >= 0)
        whole[row, rare[row, place]] = self.values[:, m:][row, place]
        whole[:, self.frequent] = self.values[:, :m]
        return whole

    def _sources(self, rows: int) -> np.ndarray:
        return np.arange(rows) // (rows // len(self.rare))
