"""Beam search against tables that a reader can multiply, and against every sequence there is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import (
    BOS,
    SPECIALS,
    A,
    B,
    Hypothesis,
    TableModel,
    assert_same,
    brute_force,
    hashed,
    hypothesis_of,
    limits,
    plain_beam,
    written,
)

from seq2seq.decoding.beam import beam_search
from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.torch_engine import TensorLogProbabilities
from seq2seq.errors import NoTokenError

# Greedy takes A (0.6), where the best end is 0.6 · 0.4 = 0.24; B gives 0.4 · 0.9 = 0.36.
GARDEN = {
    (): [0.0, 0.0, 0.6, 0.4],
    (A,): [0.0, 0.4, 0.3, 0.3],
    (B,): [0.0, 0.9, 0.1, 0.0],
}
GARDEN |= {(x, y): [0.0, 0.5, 0.25, 0.25] for x in (A, B) for y in (A, B)}
# A: 0.5 · 0.6 = 0.3 in 2 tokens; A B: 0.5 · 0.4 · 1.0 = 0.2 in 3. log 0.3 > log 0.2, but
# log 0.3 / 2 = -0.602 < log 0.2 / 3 = -0.536.
LENGTHS = {(): [0.0, 0.5, 0.5, 0.0], (A,): [0.0, 0.6, 0.0, 0.4], (A, B): [0.0, 1.0, 0.0, 0.0]}


def run(
    model: TableModel,
    *maximum: int,
    minimum: int = 1,
    width: int = 2,
    alpha: float = 0.0,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    return beam_search(
        model,
        model.start(*range(len(maximum))),
        limits(*maximum, minimum=minimum),
        SPECIALS,
        beam=width,
        alpha=alpha,
        n_best=n_best,
    )


def test_two_beams_find_what_greedy_misses() -> None:
    model = written(GARDEN)
    [[greedily]] = greedy_search(model, model.start(0), limits(2), SPECIALS, 0.0)
    [[found]] = run(model, 2)
    assert (greedily.tokens, found.tokens) == ([A], [B])
    assert math.isclose(greedily.log_probability, math.log(0.24))
    assert math.isclose(found.log_probability, math.log(0.36))
    [[narrow]] = run(model, 2, width=1)
    assert narrow.tokens == [A]


def test_the_length_penalty_changes_the_winner() -> None:
    [[short]] = run(written(LENGTHS), 5)
    [[long]] = run(written(LENGTHS), 3, alpha=1.0)
    assert (short.tokens, long.tokens) == ([A], [A, B])
    assert math.isclose(short.score, math.log(0.3))
    assert math.isclose(long.log_probability, math.log(0.2))
    assert math.isclose(long.score, math.log(0.2) / 3)


def test_n_best_comes_best_first_and_may_exceed_the_beam() -> None:
    [found] = run(written(GARDEN), 3, width=2, n_best=4)
    # In 2 tokens 0.36 and 0.24; in 3 the two live ones, A A and A B, 0.6 · 0.3 · 0.5 each.
    assert [h.tokens for h in found] == [[B], [A], [A, A], [A, B]]
    expected = [0.36, 0.24, 0.09, 0.09]
    assert all(math.isclose(math.exp(h.score), p) for h, p in zip(found, expected, strict=True))
    assert all(h.finished for h in found)


def test_each_sentence_has_its_own_maximum_and_eos_waits_for_the_minimum() -> None:
    model = TableModel(lambda source, prefix: [0.0, 0.5, 0.3, 0.2])
    found = run(model, 3, 1, 2, minimum=2)
    assert [h.tokens for [h] in found] == [[A, A], [A], [A, A]]
    assert [h.finished for [h] in found] == [True, False, False]
    assert math.isclose(found[0][0].log_probability, math.log(0.3 * 0.3 * 0.5))
    assert math.isclose(found[2][0].log_probability, math.log(0.3 * 0.3))


def test_unfinished_ones_count_only_where_none_finished() -> None:
    rare = TableModel(lambda source, prefix: [0.0, 1e-9, 0.6, 0.4])
    [found] = run(rare, 3, n_best=9)
    assert found
    assert all(h.finished for h in found)
    assert all(h.outdone for h in found)  # the live hypotheses were far more likely
    never = TableModel(lambda source, prefix: [0.0, 0.0, 0.6, 0.4])
    [found] = run(never, 2, n_best=2, alpha=1.0)
    assert [(h.tokens, h.finished) for h in found] == [([A, A], False), ([A, B], False)]
    assert not any(h.outdone for h in found)
    assert math.isclose(found[1].score, math.log(0.6 * 0.4) / 2)


def test_stops_exactly_when_no_live_one_can_win() -> None:
    # After A EOS (0.5 · 0.7), the best live one is A A with 0.5 · 0.3 = 0.15 < 0.35.
    model = TableModel(lambda source, prefix: [0.0, 0.7, 0.3] if prefix else [0.5, 0.0, 0.5])
    run(model, 50, alpha=0.0)
    assert len(model.steps) == 2
    # With alpha = 1, A A scores at best log 0.15 / maximum: that is no better than
    # log 0.35 / 2 = -0.525 up to maximum 3 (-0.632), but from 4 on (-0.474) it may still win.
    model.steps.clear()
    run(model, 3, alpha=1.0)
    assert len(model.steps) == 2
    model.steps.clear()
    run(model, 4, alpha=1.0)
    assert len(model.steps) > 2


def test_those_who_are_done_leave_the_batch() -> None:
    # Source 0 ends at once; source 1 says A until its maximum.
    model = TableModel(
        lambda source, prefix: (
            [0.0, 0.1, 0.9, 0.0] if source or not prefix else [0.0, 0.98, 0.01, 0.01]
        )
    )
    found = run(model, 6, 6, alpha=1.0, width=2)
    assert [h.tokens for [h] in found] == [[A], [A] * 5]
    assert model.steps == [2, 4, 2, 2, 2, 2]


cases = {
    "seed": st.integers(0, 10**6),
    "V": st.integers(3, 5),
    "alpha": st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    "zeros": st.sampled_from([0.0, 0.3]),
    "minimum": st.integers(1, 3),
}


@settings(max_examples=60)
@given(
    maximum=st.lists(st.integers(1, 5), min_size=1, max_size=3), n_best=st.integers(1, 7), **cases
)
def test_a_wide_beam_is_exhaustive(
    seed: int,
    V: int,
    maximum: list[int],
    minimum: int,
    alpha: float,
    zeros: float,
    n_best: int,
) -> None:
    model = hashed(seed, V, zeros)
    width = V ** (max(maximum) - 1)
    found = run(model, *maximum, minimum=minimum, width=width, alpha=alpha, n_best=n_best)
    for source, longest in enumerate(maximum):
        expected = brute_force(model, source, V, minimum, longest, alpha)
        finished = expected[0].finished
        assert_same(found[source], expected[: n_best if finished else min(n_best, width)])


@settings(max_examples=150)
@given(
    maximum=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    width=st.integers(1, 4),
    n_best=st.integers(1, 4),
    **cases,
)
def test_as_the_plain_rule_that_never_stops_early_and_as_alone(
    seed: int,
    V: int,
    maximum: list[int],
    minimum: int,
    alpha: float,
    zeros: float,
    width: int,
    n_best: int,
) -> None:
    model = hashed(seed, V, zeros)
    settings = {"minimum": minimum, "width": width, "alpha": alpha, "n_best": n_best}
    together = run(model, *maximum, **settings)
    for source, longest in enumerate(maximum):
        expected = plain_beam(model, source, V, minimum, longest, alpha, width)
        assert_same(together[source], expected[:n_best])
        [alone] = beam_search(
            model,
            model.start(source),
            limits(longest, minimum=minimum),
            SPECIALS,
            beam=width,
            alpha=alpha,
            n_best=n_best,
        )
        assert alone == together[source]  # to the bit
        assert len({h.finished for h in alone}) == 1
        for h in alone:
            assert BOS not in h.tokens
            forced = hypothesis_of(model, source, tuple(h.tokens), h.finished, alpha)
            assert math.isclose(h.log_probability, forced.log_probability, abs_tol=1e-12)


def test_equals_are_ordered_alike_in_every_batch() -> None:
    model = TableModel(lambda source, prefix: [0.0] + [0.125] * 8)
    [alone] = run(model, 4, width=8, n_best=8)
    assert [h.tokens for h in alone[:7]] == [[token] for token in range(2, 9)]
    assert run(model, 4, 4, 4, width=8, n_best=8) == [alone] * 3


@pytest.mark.parametrize(("dtype", "within"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_a_vocabulary_large_enough_to_be_cut_in_chunks(dtype: torch.dtype, within: float) -> None:
    V, generator = 1000, torch.Generator().manual_seed(1)

    def wrap(values: np.ndarray) -> TensorLogProbabilities:
        return TensorLogProbabilities(torch.from_numpy(values).to(dtype))

    drawn = torch.rand(V, V, generator=generator).pow(4)
    drawn = (drawn / drawn.sum(dim=1, keepdim=True)).tolist()
    model = TableModel(lambda source, prefix: drawn[prefix[-1] if prefix else 0], wrap)
    [found] = run(model, 4, width=3, n_best=3, alpha=0.5)
    assert_same(found, plain_beam(model, 0, V, 1, 4, 0.5, 3)[:3], within)


def test_no_sentences_give_no_results() -> None:
    assert run(written({})) == []


@pytest.mark.parametrize("p", [[1.0, 0.0, 0.0], [0.0, math.nan, math.nan]])
def test_a_model_without_a_permitted_token_is_an_error(p: list[float]) -> None:
    model = TableModel(lambda source, prefix: p if source else [0.0, 0.5, 0.5])
    with pytest.raises(NoTokenError) as caught:
        run(model, 3, 3)
    assert caught.value.row == 1


def test_settings_out_of_range_are_refused() -> None:
    model = written(GARDEN)
    with pytest.raises(ValueError, match="alpha"):
        run(model, 3, alpha=-1.0)
    with pytest.raises(ValueError, match="beam"):
        run(model, 3, width=0)
    with pytest.raises(ValueError, match="n_best"):
        run(model, 3, n_best=0)
