"""An engine that lets a search choose only tokens that meet the constraints.

The constrained engine wraps another engine, so that each search algorithm works without changes. It
masks tokens and does not renormalise the other probabilities. The score of a hypothesis is
therefore the score that the model gives to its tokens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic

import numpy as np

from seq2seq.decoding.constraint_options import ConstraintOptions
from seq2seq.decoding.engine import Engine, State
from seq2seq.decoding.phrases import (
    ForbiddenPhrases,
    Spelling,
    contains_phrase,
    contradictions,
    phrase_ids,
)
from seq2seq.decoding.stepping import Specials
from seq2seq.errors import UserError

_DEAD_END = -1000.0  # nats: worse than every hypothesis that meets the constraints


class ConstrainedLogProbabilities:
    """`LogProbabilities` in a NumPy array [N, V], which this object may change in place."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def exclude(self, tokens: Sequence[int]) -> None:
        self.values[:, list(tokens)] = -math.inf

    def at(self, tokens: np.ndarray) -> np.ndarray:
        chosen: np.ndarray = self.values[np.arange(len(tokens)), tokens].astype(np.float64)
        return chosen

    def top(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        k = min(k, self.values.shape[1])
        if k == 1:
            ids = self.values.argmax(axis=1)[:, None]
        else:
            ids = np.argpartition(-self.values, k - 1, axis=1)[:, :k]
            ids.sort(axis=1)
            order = np.argsort(-np.take_along_axis(self.values, ids, axis=1), axis=1, kind="stable")
            ids = np.take_along_axis(ids, order, axis=1)
        return np.take_along_axis(self.values, ids, axis=1).astype(np.float64), ids

    def all(self) -> np.ndarray:
        return self.values


@dataclass(frozen=True)
class ConstraintRow:
    """What the constraints need to know about one hypothesis.

    tokens: the tokens so far, without BOS.
    ahead: the tokens of the target prefix that must still follow.
    forbidden: the state of `ForbiddenPhrases`.
    stopped: whether the text contains a stop string.
    """

    tokens: tuple[int, ...] = ()
    ahead: tuple[int, ...] = ()
    forbidden: str = ""
    stopped: bool = False


@dataclass(frozen=True)
class ConstrainedState(Generic[State]):
    """The state of the wrapped engine, and one `ConstraintRow` for each of its N hypotheses."""

    inner: State
    rows: list[ConstraintRow]
    started: bool = False


class Constraints:
    """The constraints of a search, prepared for one vocabulary."""

    def __init__(
        self,
        options: ConstraintOptions,
        tokenizer: Spelling,
        specials: Specials,
        *,
        whole_words: bool = True,
    ) -> None:
        """Prepare the constraints that the options describe.

        whole_words: whether forbidden and required phrases match whole words only.

        Raises UserError if the vocabulary cannot write a phrase, or if two options contradict each
        other.
        """
        self.options, self.tokenizer, self.specials = options, tokenizer, specials
        self.whole_words = whole_words
        if problems := contradictions(options, whole_words=whole_words):
            raise UserError("; ".join(problems) + ": leave out one of these two options")
        self.prefix: tuple[int, ...] = ()
        if options.target_prefix:
            self.prefix = tuple(self._ids(options.target_prefix, "the target prefix"))
        self.required = []
        for phrase in options.require:
            self._ids(phrase, "the required phrase")
            self.required.append(phrase_ids(tokenizer, phrase, whole_words=whole_words))
        special = {*specials.forbidden, specials.bos, specials.eos}
        self.forbidden = ForbiddenPhrases(
            options.forbid, tokenizer, sorted(special), whole_words=whole_words
        )

    @property
    def forced_tokens(self) -> int:
        """Return the number of tokens in the target prefix and in the required phrases."""
        return len(self.prefix) + sum(map(len, self.required))

    def accepts(self, tokens: Sequence[int]) -> bool:
        """Return whether the text of some tokens contains all required phrases."""
        (text,) = self.tokenizer.decode([tokens])
        return all(
            contains_phrase(text, phrase, whole_words=self.whole_words)
            for phrase in self.options.require
        )

    def continues(self, token: int) -> bool:
        """Return whether a token continues the word that the preceding token belongs to."""
        (piece,) = self.tokenizer.pieces([token])
        return self.whole_words and piece[:1].isalnum()

    def _ids(self, text: str, what: str) -> list[int]:
        (ids,) = self.tokenizer.encode([text])
        if not ids or set(ids) & {*self.specials.forbidden}:
            raise UserError(
                f"{what} {text!r} has characters or words that the model's vocabulary lacks"
            )
        return ids

    def advance(self, row: ConstraintRow, token: int) -> ConstraintRow:
        """Return the `ConstraintRow` of a hypothesis after one more token."""
        tokens, forbidden, stopped = (*row.tokens, token), row.forbidden, row.stopped
        if self.options.forbid:
            forbidden = self.forbidden.advance(forbidden, token)
        if self.options.stop and not stopped:
            (text,) = self.tokenizer.decode([tokens])
            stopped = any(stop in text for stop in self.options.stop)
        return ConstraintRow(tokens, row.ahead[1:], forbidden, stopped)

    def mask(self, row: ConstraintRow, values: np.ndarray) -> None:
        """Set the log-probabilities [V] of tokens that must not follow to -inf, in place."""
        eos = self.specials.eos
        if row.ahead:
            kept = values[row.ahead[0]]
            values[:] = -math.inf
            values[row.ahead[0]] = kept
            return
        if row.stopped:
            values[:] = -math.inf
            values[eos] = 0.0
            return
        end = values[eos]
        if self.options.forbid:
            values[self.forbidden.banned(row.forbidden)] = -math.inf
        if self.options.no_repeat_ngram:
            values[_repeating(row.tokens, self.options.no_repeat_ngram)] = -math.inf
        values[list(self.specials.forbidden)] = -math.inf
        if not np.isfinite(values).any():
            values[eos] = max(end, _DEAD_END) + _DEAD_END

    def violations(self, text: str) -> list[str]:
        """Return a description, for a message, of each constraint that a text breaks."""
        missing = [
            f"the required phrase {phrase!r} is missing"
            for phrase in self.options.require
            if not contains_phrase(text, phrase, whole_words=self.whole_words)
        ]
        present = [
            f"the forbidden phrase {phrase!r} is there"
            for phrase in self.options.forbid
            if contains_phrase(text, phrase, whole_words=self.whole_words)
        ]
        return missing + present


def _repeating(tokens: tuple[int, ...], n: int) -> list[int]:
    """Return the tokens that would repeat a sequence of n tokens."""
    last = tokens[len(tokens) - n + 1 :] if n > 1 else ()
    if len(tokens) < n:
        return []
    return [tokens[i + n - 1] for i in range(len(tokens) - n + 1) if tokens[i : i + n - 1] == last]


class ConstrainedEngine(Generic[State]):
    """An engine whose log-probabilities exclude all tokens that break the constraints."""

    def __init__(
        self, engine: Engine[State], constraints: Constraints, with_prefix: Sequence[bool] = ()
    ) -> None:
        """Wrap an engine.

        with_prefix: for each source, whether its translation starts with the target prefix. If the
            sequence is empty, all translations start with the prefix.
        """
        self.engine, self.constraints = engine, constraints
        self._with_prefix = list(with_prefix)

    def start(self, sources: Sequence[np.ndarray]) -> ConstrainedState[State]:
        """Return the state before the first token (see `Engine.start`)."""
        return self.wrap(self.engine.start(sources), len(sources))

    def wrap(self, inner: State, count: int) -> ConstrainedState[State]:
        """Wrap a state of the inner engine with `count` rows, before the first token."""
        row = ConstraintRow(ahead=self.constraints.prefix)
        chosen = self._with_prefix or [True] * count
        rows = [row if has_prefix else replace(row, ahead=()) for has_prefix in chosen]
        return ConstrainedState(inner, rows)

    def step(
        self, state: ConstrainedState[State], tokens: np.ndarray
    ) -> tuple[ConstrainedLogProbabilities, ConstrainedState[State]]:
        """Return the masked log-probabilities and the next state (see `Engine.step`)."""
        rows = state.rows
        if state.started:
            rows = [
                self.constraints.advance(row, token)
                for row, token in zip(rows, tokens.tolist(), strict=True)
            ]
        log_p, inner = self.engine.step(state.inner, tokens)
        values = np.array(log_p.all(), copy=True)
        for row, allowed in zip(rows, values, strict=True):
            self.constraints.mask(row, allowed)
        return ConstrainedLogProbabilities(values), ConstrainedState(inner, rows, True)

    def select(self, state: ConstrainedState[State], rows: np.ndarray) -> ConstrainedState[State]:
        """Return a state with the given rows of `state` (see `Engine.select`)."""
        kept = [state.rows[row] for row in rows.tolist()]
        return ConstrainedState(self.engine.select(state.inner, rows), kept, state.started)

    def weights(
        self, state: ConstrainedState[Any], targets: Sequence[Sequence[int]]
    ) -> list[np.ndarray]:
        """Return the attention weights of the wrapped engine (see `Engine.weights`)."""
        return self.engine.weights(state.inner, targets)
