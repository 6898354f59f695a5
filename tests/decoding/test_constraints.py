"""Constrained searches against brute force: every hypothesis that meets the constraints."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import EOS, SPECIALS, TableModel, assert_same, brute_force, hashed, limits

from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.constraint_options import ConstraintOptions
from seq2seq.decoding.constraints import ConstrainedEngine, ConstrainedLogProbabilities, Constraints
from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.options import search_options
from seq2seq.decoding.phrases import ForbiddenPhrases, contains_phrase
from seq2seq.decoding.required import grid_beam_search
from seq2seq.decoding.stepping import Hypothesis
from seq2seq.errors import UserError

PIECES = ["<s>", "</s>", "▁a", "▁b", "c", "▁c"]
V = len(PIECES)


class Words:
    """A tokenizer of the words a, b and c, and of c as a continuation: "ac" is ▁a c."""

    def __len__(self) -> int:
        return V

    def pieces(self, ids):
        return [PIECES[i] for i in ids]

    def encode(self, lines):
        texts = ["".join(f"▁{word}" for word in line.split()) for line in lines]
        return [
            [PIECES.index(piece) for piece in re.findall("▁.|.", text) if piece in PIECES]
            for text in texts
        ]

    def decode(self, ids):
        return ["".join(PIECES[i] for i in row if i > 1).replace("▁", " ").strip() for row in ids]


def text_of(hypothesis: Hypothesis) -> str:
    return Words().decode([hypothesis.tokens])[0]


def repeats(tokens: list[int], n: int) -> bool:
    grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
    return len(set(grams)) < len(grams)


def fits(hypothesis: Hypothesis, options: ConstraintOptions) -> bool:
    """The definition of each constraint, on a whole hypothesis."""
    words = f" {text_of(hypothesis)} "
    steps = [f" {Words().decode([hypothesis.tokens[:n]])[0]} " for n in range(1, 13)]
    return (
        hypothesis.finished
        and (not options.target_prefix or hypothesis.tokens[:2] == [2, 3])
        and not any(f" {phrase} " in step for phrase in options.forbid for step in steps)
        and all(f" {phrase} " in words for phrase in options.require)
        and not (options.no_repeat_ngram and repeats(hypothesis.tokens, options.no_repeat_ngram))
    )


def search(model, maximum, options, *, beam, alpha, n_best):
    constraints = Constraints(options, Words(), SPECIALS)
    engine = ConstrainedEngine(model, constraints)
    state = engine.wrap(model.start(0), 1)
    settings = {"beam": beam, "alpha": alpha, "n_best": n_best}
    if not options.require:
        return beam_search(engine, state, limits(maximum), SPECIALS, **settings)[0]
    return grid_beam_search(
        engine,
        state,
        limits(maximum),
        SPECIALS,
        phrases=Words().encode(options.require),
        accept=lambda tokens: not constraints.violations(Words().decode([tokens])[0]),
        continues=lambda token: PIECES[token] == "c",
        **settings,
    )[0]


OPTIONS = [
    {"target_prefix": "a b"},
    {"forbid": ["a"]},
    {"forbid": ["a b", "c"]},
    {"forbid": ["ac", "b b"]},
    {"no_repeat_ngram": 1},
    {"no_repeat_ngram": 2},
    {"require": ["b"]},
    {"require": ["a b"]},
    {"require": ["b", "ac"]},
    {"require": ["a", "b", "c"]},
    {"require": ["a"], "forbid": ["ac"], "no_repeat_ngram": 1},
    {"target_prefix": "a b", "require": ["c"]},
]


@pytest.mark.parametrize("values", OPTIONS, ids=str)
@settings(max_examples=8)
@given(
    seed=st.integers(0, 10**6),
    alpha=st.sampled_from([0.0, 1.0]),
    zeros=st.sampled_from([0.0, 0.3]),
    n_best=st.integers(1, 4),
)
def test_a_wide_beam_finds_the_best_texts_that_meet_the_constraints(
    values, seed, alpha, zeros, n_best
):
    options = ConstraintOptions(**values)
    model = hashed(seed, V, zeros)
    maximum = 4
    every = brute_force(model, 0, V, 1, maximum, alpha)
    expected = [one for one in every if fits(one, options)][:n_best]
    if expected:  # else the model itself may give the prefix no chance
        found = search(model, maximum, options, beam=64, alpha=alpha, n_best=n_best)
        assert_same(found[: len(expected)], expected)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), values=st.sampled_from(OPTIONS), beam=st.integers(1, 4))
def test_a_narrow_beam_keeps_the_constraints(seed, values, beam):
    options = ConstraintOptions(**values)
    model = hashed(seed, V)
    for one in search(model, 12, options, beam=beam, alpha=1.0, n_best=2):
        if one.finished and one.log_probability > -500:
            assert fits(one, options)
            path = [*one.tokens, EOS]
            forced = sum(model.log_p(0, tuple(path[:t]))[path[t]] for t in range(len(path)))
            assert math.isclose(one.log_probability, forced)


def test_required_phrases_are_found_with_a_beam_of_one():
    for seed in range(20):
        (best,) = search(
            hashed(seed, V),
            12,
            ConstraintOptions(require=["c a", "b"]),
            beam=1,
            alpha=1.0,
            n_best=1,
        )
        assert best.finished
        assert fits(best, ConstraintOptions(require=["c a", "b"]))


def test_a_required_phrase_that_is_too_long_is_left_unfinished():
    (best,) = search(
        hashed(1, V), 2, ConstraintOptions(require=["a b c"]), beam=2, alpha=1.0, n_best=1
    )
    assert (best.finished, best.tokens) == (False, [2, 3])


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), stop=st.sampled_from(["b", "a b", "ac", " c"]))
def test_a_hypothesis_ends_at_a_stop_string(seed, stop):
    """Greedy search writes the same tokens as without the stop string, up to it."""
    model = hashed(seed, V)
    options = ConstraintOptions(stop=[stop])
    engine = ConstrainedEngine(model, Constraints(options, Words(), SPECIALS))
    state = engine.wrap(model.start(0), 1)
    [[stopped]] = greedy_search(engine, state, limits(12), SPECIALS, 0.0)
    [[free]] = greedy_search(model, model.start(0), limits(12), SPECIALS, 0.0)
    sizes = range(1, len(free.tokens) + 1)
    first = next((n for n in sizes if stop in Words().decode([free.tokens[:n]])[0]), None)
    assert stopped.tokens == (free.tokens if first is None else free.tokens[:first])


def test_a_dead_end_ends_the_hypothesis_far_below_all_others():
    """Every token repeats one, and the end is impossible: the text ends with a poor score."""
    model = TableModel(lambda source, prefix: [0.0, 0.0, 0.5, 0.5, 0.0, 0.0])
    found = search(model, 9, ConstraintOptions(no_repeat_ngram=1), beam=2, alpha=0.0, n_best=1)
    assert len(found[0].tokens) == 2
    assert found[0].log_probability < -900


@settings(max_examples=30)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=7, max_size=7), min_size=1, max_size=3),
    st.integers(1, 9),
)
def test_the_most_likely_tokens(values, k):
    array = -np.array(values, np.float32)
    array[0, 3] = -math.inf
    log_p, ids = ConstrainedLogProbabilities(array).top(k)
    expected = -np.sort(-array, axis=1)[:, :k]
    np.testing.assert_array_equal(log_p, expected)
    np.testing.assert_array_equal(np.take_along_axis(array, ids, axis=1), expected)
    assert all(len({*row}) == len(row) for row in ids.tolist())


@pytest.mark.parametrize(
    ("text", "phrase", "whole", "there"),
    [
        ("the cats", "cat", True, False),
        ("the cats", "cat", False, True),
        ("the cat.", "cat", True, True),
        ("a (b) c", "(b)", True, True),
        ("今天天气", "天气", False, True),
        ("année", "ann", True, False),
    ],
)
def test_whole_words(text, phrase, whole, there):
    assert contains_phrase(text, phrase, whole_words=whole) is there


def test_a_text_that_the_vocabulary_cannot_write_is_refused():
    for values in ({"target_prefix": "z"}, {"require": ["z"]}):
        with pytest.raises(UserError, match="'z' has characters or words that the model's voc"):
            Constraints(ConstraintOptions(**values), Words(), SPECIALS)


def test_wrong_constraints_are_all_told():
    with pytest.raises(UserError) as refusal:
        search_options(forbid=["x", " "], require=["x"], no_repeat_ngram=-1, stop=[""])
    for part in ("forbid is empty", "'x' is both", "at least 0", "stop string is empty"):
        assert part in str(refusal.value)


class Letters:
    """A vocabulary of the letters a and b. It drops all other characters."""

    def __len__(self):
        return 2

    def encode(self, lines):
        return [["ab".index(letter) for letter in line if letter in "ab"] for line in lines]

    def decode(self, ids):
        return ["".join("ab"[i] for i in row) for row in ids]

    def pieces(self, ids):
        return ["ab"[i] for i in ids]


@pytest.mark.parametrize(("phrases", "banned"), [(["\0"], []), (["\0", "ab"], [1])])
def test_a_phrase_that_the_vocabulary_cannot_write_forbids_nothing(phrases, banned):
    forbidden = ForbiddenPhrases(phrases, Letters(), [], whole_words=False)
    assert forbidden.banned(forbidden.advance("", 0)).tolist() == banned
