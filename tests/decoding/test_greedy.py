"""Greedy search, and what all searches share."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import BOS, EOS, SPECIALS, A, B, TableModel, hashed, hypothesis_of, limits, written

from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.stepping import Limits, Specials, penalties
from seq2seq.decoding.torch_engine import highest
from seq2seq.errors import NoTokenError

# p(A) = 0.5, then p(B | A) = 0.6, then p(EOS | A B) = 0.9: 0.27 in all.
PATH = {
    (): [0.0, 0.1, 0.5, 0.4],
    (A,): [0.0, 0.3, 0.1, 0.6],
    (A, B): [0.0, 0.9, 0.05, 0.05],
}


def test_the_most_probable_token_at_every_step() -> None:
    model = written(PATH)
    [[found]] = greedy_search(model, model.start(0), limits(9), SPECIALS, 1.0)
    assert found.tokens == [A, B]
    assert found.finished
    assert math.isclose(found.log_probability, math.log(0.5 * 0.6 * 0.9))
    assert math.isclose(found.score, math.log(0.5 * 0.6 * 0.9) / 3)


def test_the_maximum_cuts_each_sentence_at_its_own() -> None:
    model = written(PATH)
    found = greedy_search(model, model.start(0, 0, 0), limits(2, 9, 1), SPECIALS, 0.0)
    assert [h.tokens for [h] in found] == [[A, B], [A, B], [A]]
    assert [h.finished for [h] in found] == [False, True, False]
    assert math.isclose(found[0][0].log_probability, math.log(0.5 * 0.6))
    assert model.steps == [3, 2, 1]  # who has ended leaves the batch


def test_a_maximum_counts_eos() -> None:
    model = written(PATH)
    assert greedy_search(model, model.start(0), limits(3), SPECIALS, 0.0)[0][0].finished


def test_eos_waits_for_the_minimum() -> None:
    model = TableModel(lambda source, prefix: [0.0, 0.8, 0.2])
    for minimum in (1, 2, 3):
        [[found]] = greedy_search(model, model.start(0), limits(9, minimum=minimum), SPECIALS, 0.0)
        assert found.tokens == [A] * minimum
        assert math.isclose(found.log_probability, minimum * math.log(0.2) + math.log(0.8))
    [[found]] = greedy_search(model, model.start(0), limits(2, minimum=3), SPECIALS, 0.0)
    assert (found.tokens, found.finished) == ([A, A], False)


def test_forbidden_tokens_are_masked_and_the_rest_not_renormalised() -> None:
    model = TableModel(lambda source, prefix: [0.3, 0.2, 0.4, 0.1])
    specials = Specials(BOS, EOS, (BOS, A))
    [[found]] = greedy_search(model, model.start(0), limits(9), specials, 0.0)
    assert found.tokens == [B]
    assert math.isclose(found.log_probability, math.log(0.1) + math.log(0.2))


def test_of_equals_the_lowest_id() -> None:
    model = TableModel(lambda source, prefix: [0.0, 0.0, 0.25, 0.25, 0.25, 0.25])
    assert greedy_search(model, model.start(0), limits(2), SPECIALS, 0.0)[0][0].tokens == [A, A]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    maximum=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    minimum=st.integers(1, 3),
)
def test_alone_as_in_a_batch(seed: int, maximum: list[int], minimum: int) -> None:
    model = hashed(seed, V=5)
    together = greedy_search(
        model, model.start(*range(len(maximum))), limits(*maximum, minimum=minimum), SPECIALS, 0.7
    )
    for source, longest in enumerate(maximum):
        alone = greedy_search(
            model, model.start(source), limits(longest, minimum=minimum), SPECIALS, 0.7
        )
        assert alone == [together[source]]
        [found] = together[source]
        assert BOS not in found.tokens
        forced = hypothesis_of(model, source, tuple(found.tokens), found.finished, 0.7)
        assert math.isclose(found.score, forced.score)


def test_no_sentences_give_no_results() -> None:
    model = written({})
    assert greedy_search(model, model.start(), limits(), SPECIALS, 0.0) == []


@pytest.mark.parametrize("p", [[1.0, 0.0, 0.0], [0.0, math.nan, math.nan]])
def test_a_model_without_a_permitted_token_is_an_error(p: list[float]) -> None:
    model = TableModel(lambda source, prefix: p if source else [0.0, 0.5, 0.5])
    with pytest.raises(NoTokenError) as caught:
        greedy_search(model, model.start(0, 1), limits(3, 3), SPECIALS, 0.0)
    assert caught.value.row == 1


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="minimum"):
        limits(3, minimum=0)
    with pytest.raises(ValueError, match="maximum"):
        limits(3, 0)
    with pytest.raises(ValueError, match="maximum"):
        Limits(1, np.array([3.0]))
    with pytest.raises(ValueError, match="EOS"):
        Specials(BOS, EOS, (EOS,))
    for alpha in (-0.1, math.inf, math.nan):
        with pytest.raises(ValueError, match="alpha"):
            penalties(3, alpha)


@pytest.mark.parametrize("V", [5, 64, 255, 256, 320, 1000, 1024])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
@pytest.mark.parametrize("kinds", [3, 10**9])
def test_highest_is_topk(V: int, k: int, kinds: int) -> None:
    generator = torch.Generator().manual_seed(V + k)
    values = torch.randint(kinds, (50, V), generator=generator).double()  # 3 kinds: many equals
    found, ids = highest(values, k)
    assert found.equal(values.topk(k, dim=1).values)
    assert values.gather(1, ids).equal(found)
    assert all(len(set(row)) == k for row in ids.tolist())
    if k == 1:
        assert ids.equal((values == found).double().argmax(dim=1, keepdim=True))  # the first
    with pytest.raises(ValueError, match="must not exceed the number of values"):
        highest(values, V + 1)
