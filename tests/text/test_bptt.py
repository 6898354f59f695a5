"""What must hold of a text as a stream: every token once, in order, the right one before it."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.text.bptt import collate_windows, concatenate_lines, consecutive_windows, plan_windows
from seq2seq.text.tokenizer import Tokenizer

BOS, EOS = 1_000_001, 1_000_002
MARKS = cast(Tokenizer, SimpleNamespace(bos=BOS, eos=EOS))


def batches(size: int, epoch: int = 0, **settings: Any) -> list[Any]:
    values = {"streams": 4, "window": 5, "seed": 1, "contiguous": True} | settings
    planned = plan_windows(size, epoch=epoch, **values)
    ids = np.arange(size, dtype=np.int32)
    return [collate_windows(ids, rows, values["window"], MARKS) for rows in planned]


@given(
    size=st.integers(1, 200),
    streams=st.integers(1, 9),
    window=st.integers(1, 12),
    epoch=st.integers(0, 20),
    contiguous=st.booleans(),
)
@settings(max_examples=200)
def test_every_token_once_with_the_one_before_it(
    size: int, streams: int, window: int, epoch: int, contiguous: bool
) -> None:
    made = batches(size, epoch, streams=streams, window=window, contiguous=contiguous)
    counted = []
    for batch in made:
        wanted = batch.outputs.flatten()[batch.target_index].tolist()
        given_to = batch.inputs.flatten()[batch.target_index].tolist()
        counted += wanted
        for before, token in zip(given_to, wanted, strict=True):
            assert before == (token - 1 if token else BOS)
        assert batch.inputs.shape == batch.outputs.shape
        assert batch.inputs.shape[0] <= streams
        assert batch.inputs.shape[1] <= window
    assert sorted(counted) == list(range(size))


@given(size=st.integers(2, 200), streams=st.integers(1, 9), window=st.integers(1, 12))
@settings(max_examples=100)
def test_a_contiguous_window_goes_on_where_the_one_before_ended(
    size: int, streams: int, window: int
) -> None:
    made = batches(size, streams=streams, window=window)
    assert [batch.continues for batch in made] == [False] + [True] * (len(made) - 1)
    for one, other in pairwise(made):
        last = one.outputs[:, -1].tolist()
        first = other.inputs[:, 0].tolist()
        assert [i if i != BOS else size - 1 for i in first] == last


def test_random_windows_stand_for_themselves_and_are_shuffled() -> None:
    made = batches(400, contiguous=False)
    assert not any(batch.continues for batch in made)
    firsts = [int(row[0]) for batch in made for row in batch.outputs]
    assert firsts != sorted(firsts)


@pytest.mark.parametrize("contiguous", [True, False])
def test_epochs_differ_and_each_is_made_from_its_seed_alone(contiguous: bool) -> None:
    def starts(epoch: int, seed: int = 1) -> list[list[int]]:
        planned = plan_windows(
            400, streams=4, window=5, seed=seed, epoch=epoch, contiguous=contiguous
        )
        return [rows[:, 0].tolist() for rows in planned]

    assert starts(3) == starts(3)
    assert starts(3) != starts(4)
    assert starts(3) != starts(3, seed=2)


def test_the_whole_text_in_order() -> None:
    ids = np.arange(23, dtype=np.int32)
    made = list(consecutive_windows(ids, 10, MARKS))
    assert [batch.inputs.shape[1] for batch in made] == [10, 10, 3]
    assert [batch.continues for batch in made] == [False, True, True]
    assert [i for batch in made for i in batch.inputs[0].tolist()] == [BOS, *range(22)]
    assert [i for batch in made for i in batch.outputs[0].tolist()] == list(range(23))


@given(st.lists(st.lists(st.integers(5, 99), max_size=5), max_size=8), st.integers(0, 3))
def test_lines_become_a_stream(lines: list[list[int]], skipped: int) -> None:
    """Parts of a file may begin anywhere in their values."""
    offsets = np.cumsum([skipped, *map(len, lines)])
    values = np.array([0] * skipped + [i for line in lines for i in line], np.int32)
    parts = [(offsets, values), (offsets, values)]
    joined = concatenate_lines(parts, MARKS, line_ends=False)
    assert joined.tolist() == [i for line in lines * 2 for i in line]
    ended = concatenate_lines(parts, MARKS, line_ends=True)
    assert ended.tolist() == [i for line in lines * 2 for i in [*line, EOS]]
