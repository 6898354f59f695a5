"""Micro-batches: nothing lost, nothing moved, and nobody waits for a neighbour who is not there."""

import queue
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.decoding.micro_batches import (
    batches_by_length,
    rows_by_length,
    waiting_windows,
    windows,
)


@given(st.lists(st.integers()), st.integers(1, 9))
def test_windows_are_the_items(items, size):
    parts = list(windows(iter(items), size))
    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1])
    assert all(0 < len(part) <= size for part in parts)


def test_windows_read_no_further_than_they_give():
    taken = []
    stream = windows((taken.append(number) or number for number in range(100)), 7)
    assert next(stream) == list(range(7))
    assert len(taken) == 7


@given(st.lists(st.integers()), st.integers(1, 9))
def test_what_waits_comes_in_whole_windows(items, size):
    waiting = queue.Queue()
    for item in [*items, None]:
        waiting.put(item)
    assert list(waiting_windows(waiting, size, 0.0)) == list(windows(items, size))


@given(st.lists(st.integers()), st.integers(1, 40), st.integers(1, 9))
def test_the_first_windows_may_be_short(items, size, first):
    waiting = queue.Queue()
    for item in [*items, None]:
        waiting.put(item)
    parts = list(windows(iter(items), size, first=first))
    assert list(waiting_windows(waiting, size, 0.0, first=first)) == parts
    assert [item for part in parts for item in part] == items
    expected = [min(size, first * 4**number) for number in range(len(parts))]
    assert [len(part) for part in parts[:-1]] == expected[:-1]


def test_one_item_is_not_kept_for_others():
    waiting = queue.Queue()
    waiting.put("first")
    stream = waiting_windows(waiting, 100, patience=0.01)
    start = time.monotonic()
    assert next(stream) == ["first"]
    assert time.monotonic() - start < 5  # it would wait for ever
    waiting.put("second")
    waiting.put(None)
    assert list(stream) == [["second"]]


def test_an_error_reaches_who_waits():
    waiting = queue.Queue()
    waiting.put(1)
    waiting.put(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        list(waiting_windows(waiting, 1, 0.0))


@given(
    lengths=st.lists(st.integers(1, 3000), max_size=40),
    most=st.integers(1, 9),
    longest=st.integers(1, 200),
    alike=st.booleans(),
)
def test_batches_hold_every_text_once_in_batches_that_fit(lengths, most, longest, alike):
    limits = {"most": most, "longest": longest, "alike": alike}
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    ascending = [lengths[row] for row in order]
    rows = list(rows_by_length(lengths, **limits))
    assert [row for batch in rows for row in batch] == order
    batches = [ascending[now] for now in batches_by_length(ascending, **limits)]
    assert batches == [[lengths[row] for row in batch] for batch in rows]
    assert [length for batch in batches for length in batch] == ascending
    for batch in batches:
        assert 0 < len(batch) <= most
        assert len(batch) == 1 or len(batch) * max(batch) <= max(16 * longest, 2048)
        assert not alike or len(set(batch)) == 1
