"""The engine: what a search needs of a model. Nothing here, or in a search, imports PyTorch.

An engine starts a state from sources, extends it by a token (`step`) and picks rows of it
(`select`). A state is a value: no verb changes it. Bookkeeping is NumPy's; the engine keeps the
[N, V] log-probabilities of a step wherever it computed them, and answers questions about them.

Letters: B sources, K beam, N rows of a search (hypotheses), S source length, T steps, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

State = TypeVar("State")


class LogProbabilities(Protocol):
    """log p(next token) for N rows and V tokens. A search may exclude tokens from it."""

    def exclude(self, tokens: Sequence[int]) -> None:
        """Set these tokens to -inf in all rows. The others are not renormalised."""
        ...

    def at(self, tokens: np.ndarray) -> np.ndarray:
        """tokens [N] int64, one a row → their log-probabilities [N] float64."""
        ...

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k most likely tokens of each row: log-probabilities [N, k] float64 and ids [N, k]
        int64, best first; V columns where V is below k.

        Of equals, k = 1 takes the lowest id. For a larger k the choice depends on the row and k.
        """
        ...

    def all(self) -> np.ndarray:
        """All of them, [N, V], of any float dtype."""
        ...


class Engine(Protocol[State]):
    """A whole model, or an ensemble of models with one vocabulary. A step given BOS is the first.

    No verb mixes rows, so the result of a sentence does not depend on its batch.
    """

    def start(self, sources: Sequence[np.ndarray]) -> State:
        """The state before the first token, one row a source.

        sources: B arrays of ids [length] int64 without EOS; empty ones for a language model.
        """
        ...

    def step(self, state: State, tokens: np.ndarray) -> tuple[LogProbabilities, State]:
        """tokens [N] int64, the last of each row → what may follow, and the next state."""
        ...

    def select(self, state: State, rows: np.ndarray) -> State:
        """The state whose row i is the present row rows[i]; rows [M] int64, repeats allowed."""
        ...

    def weights(self, state: State, targets: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """What each step of given targets attends to, by teacher forcing from a started state.

        targets: the ids of each row, BOS first, [T] each → [T, S] float32 each, where S is the
        longest source and padding has weight 0. Raises ValueError for a model without attention.
        """
        ...
