"""The engine: the interface between a search algorithm and a model, independent of PyTorch.

An engine creates a state from sources (`start`), extends a state by one token for each row (`step`)
and selects rows of a state (`select`). No method changes a state, because each method returns a new
state. The search keeps its own data in NumPy arrays. The log-probabilities [N, V] of a step stay in
the engine, for example on a GPU, and the search reads only the values that it needs.

Shapes use these letters: B sources, K beam size, N hypotheses (rows), S source length, T steps, V
size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

State = TypeVar("State")


class LogProbabilities(Protocol):
    """The log-probabilities of the next token, for N rows and a vocabulary of V tokens."""

    def exclude(self, tokens: Sequence[int]) -> None:
        """Set the log-probability of `tokens` to -inf in all rows, without renormalisation."""
        ...

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """Return the log-probability of one token in each row, [N] float64. tokens: [N] int64."""
        ...

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k most likely tokens of each row, best first, or V tokens if V < k.

        Returns log-probabilities [N, k] float64 and token ids [N, k] int64. If tokens are equally
        likely, k = 1 returns the lowest id. For a larger k, the choice between equally likely
        tokens depends only on k and on the values of the row.
        """
        ...

    def all(self) -> np.ndarray:
        """Return the log-probabilities of all tokens, [N, V], in any float dtype."""
        ...


class Engine(Protocol[State]):
    """A whole model, or an ensemble of models that share one vocabulary.

    A search passes the token BOS to the first step, in each row. Each method computes every row on
    its own, so the result for a sentence does not depend on the rest of the batch.
    """

    def start(self, sources: Sequence[np.ndarray]) -> State:
        """Return the state before the first token, with one row for each source.

        sources: B encoded sources (see `seq2seq.text.features`), without EOS. They are empty for a
        language model.
        """
        ...

    def step(self, state: State, tokens: np.ndarray) -> tuple[LogProbabilities, State]:
        """Return the log-probabilities of the next token, and the state after `tokens`.

        tokens: [N] int64, the last token of each row.
        """
        ...

    def select(self, state: State, rows: np.ndarray) -> State:
        """Return a state whose row i is row `rows[i]` of `state`. Rows may occur repeatedly.

        rows: [M] int64, row numbers.
        """
        ...

    def weights(self, state: State, targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Compute the attention weights of each step of given targets, by teacher forcing.

        state: the result of `start`, before the first step.
        targets: for each row, T token ids that begin with BOS.

        Returns one array [T, S] float32 for each row, where S is the length of the longest source.
        Padding has weight 0. Raises ValueError for a model without attention.
        """
        ...
