"""The engine: the interface between a search algorithm and a model, independent of PyTorch.

An engine creates a state from sources (`start`), extends it by one token for each row (`step`) and
selects rows from it (`select`). No method changes a state; each returns a new one. The search keeps
its records in NumPy arrays. The log-probabilities [N, V] of a step stay in the engine, for example
on a GPU, and the search queries them there.

Letters: B sources, K beam, N rows of a search (hypotheses), S source length, T steps, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

State = TypeVar("State")


class LogProbabilities(Protocol):
    """The log-probabilities of the next token, for N rows and a vocabulary of V tokens."""

    def exclude(self, tokens: Sequence[int]) -> None:
        """Set the log-probability of these tokens to -inf in all rows, without renormalisation."""
        ...

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """Return the log-probabilities [N] float64 of tokens [N] int64, one token for each row."""
        ...

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k most likely tokens of each row, best first; V tokens if V is below k.

        Returns log-probabilities [N, k] float64 and token ids [N, k] int64. In a tie, k = 1 takes
        the lowest id. For a larger k, the choice depends only on the values of the row and on k.
        """
        ...

    def all(self) -> np.ndarray:
        """Return all log-probabilities, [N, V], in any float dtype."""
        ...


class Engine(Protocol[State]):
    """A whole model, or an ensemble of models that share one vocabulary.

    The first step of a search receives the token BOS in each row. No method mixes rows, so the
    result for a sentence does not depend on the rest of its batch.
    """

    def start(self, sources: Sequence[np.ndarray]) -> State:
        """Return the state before the first token, with one row for each source.

        sources: B arrays of token ids [length] int64 without EOS; empty arrays for a language
        model.
        """
        ...

    def step(self, state: State, tokens: np.ndarray) -> tuple[LogProbabilities, State]:
        """Return the log-probabilities of the next token, and the state after `tokens`.

        tokens: [N] int64, the last token of each row.
        """
        ...

    def select(self, state: State, rows: np.ndarray) -> State:
        """Return a state whose row i is row `rows[i]` of `state`. rows: [M] int64, may repeat."""
        ...

    def weights(self, state: State, targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the attention weights of each step of the given targets, by teacher forcing.

        state: the result of `start`, before the first step. targets: the token ids [T] of each
        row, BOS first. Returns an array [T, S] float32 for each row, where S is the length of the
        longest source; padding has weight 0. Raises ValueError for a model without attention.
        """
        ...
