"""Sampling: the right distribution, cut as told, and seeded per sentence."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import BOS, SPECIALS, A, B, Hypothesis, TableModel, hashed, hypothesis_of, limits

from seq2seq.decoding import sampling
from seq2seq.decoding.greedy import greedy_search
from seq2seq.decoding.sampling import sample_search, uniform_numbers
from seq2seq.errors import NoTokenError

C = B + 1
DRAWS = 4000


def run(
    model: TableModel,
    sources: list[int],
    maximum: list[int],
    seeds: list[int],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    minimum: int = 1,
) -> list[list[Hypothesis]]:
    return sample_search(
        model,
        model.start(*sources),
        limits(*maximum, minimum=minimum),
        SPECIALS,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seeds=[[seed] for seed in seeds],
        alpha=1.0,
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # Before the minimum BOS and EOS are masked: 0.4, 0.24, 0.16 of 0.8.
        ({}, {A: 0.5, B: 0.3, C: 0.2}),
        ({"top_k": 2}, {A: 0.625, B: 0.375}),
        ({"top_k": 1}, {A: 1.0}),
        ({"top_k": 99}, {A: 0.5, B: 0.3, C: 0.2}),
        ({"top_p": 0.4}, {A: 1.0}),
        ({"top_p": 0.6}, {A: 0.625, B: 0.375}),
        ({"top_p": 0.9}, {A: 0.5, B: 0.3, C: 0.2}),
        # Of the two, A has 0.625 of the mass.
        ({"top_k": 2, "top_p": 0.6}, {A: 1.0}),
        # Squares: 25, 9, 4 of 38.
        ({"temperature": 0.5}, {A: 25 / 38, B: 9 / 38, C: 4 / 38}),
        ({"temperature": 1e-300}, {A: 1.0}),
        ({"temperature": 1e-320}, {A: 1.0}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_the_distribution(settings: dict[str, float], expected: dict[int, float]) -> None:
    model = TableModel(lambda source, prefix: [0.1, 0.1, 0.4, 0.24, 0.16])
    found = run(model, [0] * DRAWS, [1] * DRAWS, list(range(DRAWS)), **settings)
    counts = Counter(h.tokens[0] for [h] in found)
    assert set(counts) == set(expected)
    for token, p in expected.items():
        deviation = math.sqrt(p * (1 - p) / DRAWS)
        assert abs(counts[token] / DRAWS - p) <= 4 * deviation


def test_the_log_probability_is_the_models_own() -> None:
    model = TableModel(lambda source, prefix: [0.1, 0.1, 0.4, 0.24, 0.16])
    for [found] in run(model, [0] * 20, [1] * 20, list(range(20)), temperature=0.3, top_k=2):
        assert math.isclose(found.log_probability, math.log({A: 0.4, B: 0.24}[found.tokens[0]]))
        assert not found.finished


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    lines=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 99)), min_size=1, max_size=5),
    minimum=st.integers(1, 3),
    temperature=st.sampled_from([0.5, 1.0, 2.0]),
    top_k=st.sampled_from([0, 2, 3]),
    top_p=st.sampled_from([0.5, 0.9, 1.0]),
)
def test_a_seed_fixes_its_line_whatever_the_batch(
    seed: int,
    lines: list[tuple[int, int]],
    minimum: int,
    temperature: float,
    top_k: int,
    top_p: float,
) -> None:
    model = hashed(seed, V=5)
    maximum, seeds = [longest for longest, _ in lines], [own for _, own in lines]
    options = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "minimum": minimum}
    together = run(model, list(range(len(lines))), maximum, seeds, **options)
    for source, (longest, own) in enumerate(lines):
        assert run(model, [source], [longest], [own], **options) == [together[source]]
        [found] = together[source]
        assert BOS not in found.tokens
        assert min(minimum, longest) <= len(found.tokens) <= longest - found.finished
        forced = hypothesis_of(model, source, tuple(found.tokens), found.finished, 1.0)
        assert math.isclose(found.score, forced.score)


@given(st.integers(0, 2**63 - 1), st.integers(0, 50))
def test_uniform_numbers_are_those_of_torch(seed: int, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.stack(
        [torch.rand((), generator=generator, dtype=torch.float64) for _ in range(size + 1)]
    )
    assert uniform_numbers(seed, size).tolist() == drawn[:size].tolist()


def test_several_samples_of_a_sentence_are_those_of_their_seeds() -> None:
    model = hashed(3, V=5)
    together = sample_search(
        model,
        model.start(0, 1),
        limits(6, 9),
        SPECIALS,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        seeds=[[4, 5, 6], [7, 8, 9]],
        alpha=1.0,
    )
    for number in range(3):
        alone = run(model, [0, 1], [6, 9], [4 + number, 7 + number])
        assert [[samples[number]] for samples in together] == alone


def test_seeds_differ() -> None:
    model = TableModel(lambda source, prefix: [0.0, 0.01, 0.33, 0.33, 0.33])
    found = run(model, [0] * 10, [30] * 10, list(range(10)))
    assert len({tuple(h.tokens) for [h] in found}) == 10


def test_the_likeliest_alone_is_greedy() -> None:
    model = hashed(7, V=5)
    expected = greedy_search(model, model.start(*range(6)), limits(*[8] * 6), SPECIALS, 1.0)
    for options in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-9}):
        assert run(model, list(range(6)), [8] * 6, list(range(6)), **options) == expected


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-53, 1.0])  # 1.0: rounded in float32
@pytest.mark.parametrize("options", [{}, {"top_k": 3}, {"top_p": 0.999}])
def test_the_ends_of_the_unit_interval_choose_no_impossible_token(
    uniform: float, options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "uniform_numbers", lambda seed, size: np.full(size, uniform))
    model = TableModel(lambda source, prefix: [0.5, 0.0, 0.2, 0.3, 0.0])
    [[found]] = run(model, [0], [3], [0], **options)
    assert set(found.tokens) <= {A, B}


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0},
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"top_k": -1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_p": math.nan},
        {"seeds": [1, 2]},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"temperature must|top-k must|top-p must|seeds for"):
        run(hashed(1, V=4), **{"sources": [0], "maximum": [3], "seeds": [1], **wrong})


@pytest.mark.parametrize("p", [[1.0, 0.0, 0.0], [0.0, math.nan, math.nan]])
@pytest.mark.parametrize("options", [{}, {"top_k": 2}, {"top_p": 0.9}])
def test_a_model_without_a_permitted_token_is_an_error(
    p: list[float], options: dict[str, float]
) -> None:
    model = TableModel(lambda source, prefix: p)
    with pytest.raises(NoTokenError):
        run(model, [0], [3], [1], **options)
