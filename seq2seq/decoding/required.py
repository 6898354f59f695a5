"""Grid beam search: beam search for hypotheses that contain required phrases.

The live hypotheses of a sentence are divided into banks by the number of required tokens that they
contain (Hokamp and Liu 2017; Post and Vilar 2018). Each bank keeps its own `beam` best hypotheses.
Hypotheses with an unlikely required phrase therefore do not compete with hypotheses without this
phrase. A hypothesis may end only if its text contains all phrases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, groupby
from typing import Any

import numpy as np

from seq2seq.decoding.constraints import ConstrainedLogProbabilities, Constraints
from seq2seq.decoding.engine import Engine, State
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, penalties, require_finite

Accept = Callable[[Sequence[int]], bool]
"""A function that returns whether the text of some tokens contains all required phrases."""


@dataclass(frozen=True)
class _Live:
    """A live hypothesis of grid beam search.

    total: Σ log p in nats.
    row: the row of the hypothesis in the state of the engine.
    """

    tokens: tuple[int, ...]
    total: float
    row: int
    met: frozenset[int] = frozenset()
    completed: int | None = None


@dataclass
class _Sentence:
    """The search of one sentence: the live hypotheses and the best finished ones."""

    maximum: int
    live: list[_Live]
    pool: list[Hypothesis] = field(default_factory=list)

    def offer(self, hypothesis: Hypothesis, n_best: int) -> None:
        """Add a finished hypothesis, and keep the `n_best` best. In a tie, the first wins."""
        self.pool.append(hypothesis)
        self.pool.sort(key=lambda one: -one.score)
        del self.pool[n_best:]

    def compare(self, penalty: float, accept: Accept) -> None:
        """Set `outdone` of the finished hypotheses if a better live hypothesis has all phrases.

        Call this method when the live hypotheses reach the maximum length.

        penalty: the length penalty of a live hypothesis.
        """
        best = max((one.total for one in self.live if accept(one.tokens)), default=-math.inf)
        if self.pool and best / penalty > self.pool[0].score:
            self.pool = [replace(hypothesis, outdone=True) for hypothesis in self.pool]


class _Phrases:
    """The required phrases as token ids, and methods that compare a hypothesis with them."""

    def __init__(self, phrases: Sequence[Sequence[int]], continues: Callable[[int], bool]) -> None:
        self.phrases = [tuple(phrase) for phrase in phrases]
        self.continues = continues

    def extend(self, live: _Live, token: int, total: float) -> _Live:
        met = live.met
        if live.completed is not None and self.continues(token):
            met = met - {live.completed}  # the phrase was only the start of a longer word
        tokens, completed = (*live.tokens, token), None
        for number, phrase in enumerate(self.phrases):
            if number not in met and tokens[-len(phrase) :] == phrase:
                met, completed = met | {number}, number
                break
        return _Live(tokens, total, live.row, met, completed)

    def _open(self, live: _Live) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield (n, phrase) for each missing phrase.

        The hypothesis ends with the first n tokens of the phrase.
        """
        for number, phrase in enumerate(self.phrases):
            if number not in live.met:
                sizes = range(min(len(phrase) - 1, len(live.tokens)), 0, -1)
                tail = live.tokens
                yield next((n for n in sizes if tail[-n:] == phrase[:n]), 0), phrase

    def bank(self, live: _Live) -> int:
        """Return the number of required tokens that a hypothesis contains."""
        whole = sum(len(self.phrases[number]) for number in live.met)
        return whole + max((size for size, _ in self._open(live)), default=0)

    def suggestions(self, live: _Live) -> set[int]:
        """Return the tokens that start or continue a missing phrase."""
        return {token for size, phrase in self._open(live) for token in (phrase[size], phrase[0])}


def grid_beam_search(
    engine: Engine[State],
    state: State,
    limits: Limits,
    specials: Specials,
    *,
    beam: int,
    alpha: float,
    n_best: int,
    phrases: Sequence[Sequence[int]],
    accept: Accept,
    continues: Callable[[int], bool],
) -> list[list[Hypothesis]]:
    """Return the best hypotheses that contain the required phrases.

    beam: the number of live hypotheses in each bank. A bank holds the hypotheses with the same
        number of required tokens.
    phrases: the token ids of each phrase, which guide the search.
    accept, continues: decide whether a hypothesis may end, and whether a token continues a word.

    `beam.beam_search` explains the other arguments, the result and the errors. If a sentence has no
    hypothesis with all phrases within the maximum length, its hypotheses are unfinished, and those
    with the most required tokens come first.
    """
    guide = _Phrases(phrases, continues)
    maximum = limits.maximum.tolist()
    penalty = penalties(max(maximum, default=0), alpha).tolist()
    sentences = [_Sentence(size, [_Live((), 0.0, row)]) for row, size in enumerate(maximum)]
    tokens = np.full(len(maximum), specials.bos)
    for length in range(1, len(penalty)):
        log_p, state = engine.step(state, tokens)
        values = np.array(log_p.all(), np.float64)  # [N, V]
        values[:, list(specials.forbidden)] = -math.inf
        for sentence in sentences:
            for live in sentence.live:
                total = live.total + values[live.row, specials.eos]
                if length > limits.minimum and total > -math.inf and accept(live.tokens):
                    score = total / penalty[length]
                    sentence.offer(Hypothesis([*live.tokens], total, score, True), n_best)
        values[:, specials.eos] = -math.inf
        _, likely = ConstrainedLogProbabilities(values).top(beam)  # [N, k]
        for sentence in sentences:
            sentence.live = _extend(sentence.live, values, likely, guide, beam)
            best = max((live.total for live in sentence.live), default=-math.inf)
            full = len(sentence.pool) == n_best
            if length == sentence.maximum and not sentence.pool:
                sentence.pool = _unfinished(sentence.live, guide, penalty[length], n_best)
            if length == sentence.maximum:
                sentence.compare(penalty[length], accept)
            bound = best / penalty[sentence.maximum]
            if length == sentence.maximum or (full and bound <= sentence.pool[-1].score):
                sentence.live = []
        following = [live for sentence in sentences for live in sentence.live]
        if not following:
            break
        state = engine.select(state, np.array([live.row for live in following], np.int64))
        tokens = np.array([live.tokens[-1] for live in following], np.int64)
        _number_rows(sentences)
    require_finite(np.array([0.0 if one.pool else -math.inf for one in sentences]))
    return [sentence.pool for sentence in sentences]


def _number_rows(sentences: list[_Sentence]) -> None:
    """Number the live hypotheses of all sentences from 0, as the rows of the next state."""
    rows = count()
    for sentence in sentences:
        sentence.live = [replace(live, row=next(rows)) for live in sentence.live]


def _extend(
    live: list[_Live], values: np.ndarray, likely: np.ndarray, guide: _Phrases, beam: int
) -> list[_Live]:
    """Return the live hypotheses of the next step, best first.

    At most `beam` hypotheses with the same number of required tokens are kept.

    values: the log-probabilities of all rows, [N, V].
    likely: the most likely tokens of all rows, [N, k].
    """
    candidates: list[tuple[int, float, _Live]] = []
    for one in live:
        row = values[one.row]
        for token in sorted({*likely[one.row].tolist(), *guide.suggestions(one)}):
            if row[token] > -math.inf:
                longer = guide.extend(one, token, one.total + float(row[token]))
                candidates.append((guide.bank(longer), -longer.total, longer))
    candidates.sort(key=lambda candidate: candidate[:2])  # stable
    kept = []
    for _, bank in groupby(candidates, key=lambda candidate: candidate[0]):
        kept += [longer for _, _, longer in list(bank)[:beam]]
    return kept


def _unfinished(
    live: list[_Live], guide: _Phrases, penalty: float, n_best: int
) -> list[Hypothesis]:
    ranked = sorted(live, key=lambda one: (-guide.bank(one), -one.total))[:n_best]
    return [Hypothesis([*one.tokens], one.total, one.total / penalty, False) for one in ranked]


def guided_search(
    search: partial[list[list[Hypothesis]]], constraints: Constraints, guided: Sequence[bool]
) -> Callable[..., list[list[Hypothesis]]]:
    """Return a search that uses grid beam search for some of the sentences.

    search: `beam.beam_search` or `greedy.greedy_search` with its keyword arguments, for all other
        sentences.
    guided: for each sentence, whether it must contain the required phrases.
    """
    keywords = {"beam": 1, "n_best": 1} | search.keywords  # greedy search is a beam of one
    keywords.pop("choose", None)
    grid: Callable[..., list[list[Hypothesis]]] = partial(
        grid_beam_search,
        **keywords,
        phrases=constraints.required,
        accept=constraints.accepts,
        continues=constraints.continues,
    )

    def run(
        engine: Engine[Any], state: Any, limits: Limits, specials: Specials
    ) -> list[list[Hypothesis]]:
        found: list[list[Hypothesis]] = [[] for _ in guided]
        runs: list[tuple[bool, Callable[..., list[list[Hypothesis]]]]]
        runs = [(True, grid), (False, search)]
        for wanted, chosen in runs:
            rows = np.array([row for row, one in enumerate(guided) if one is wanted], np.int64)
            if len(rows):
                of_rows = Limits(limits.minimum, limits.maximum[rows])
                ranked = chosen(engine, engine.select(state, rows), of_rows, specials)
                for row, hypotheses in zip(rows.tolist(), ranked, strict=True):
                    found[row] = hypotheses
        return found

    return run
