"""The queue: every item once, in batches that fit, and nobody waits forever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seq2seq.serve.operations import Operation, alike_windows, size_of
from seq2seq.serve.tickets import Lane, Ticket

A, B = Operation("a", "translate"), Operation("b", "translate")
texts = st.lists(st.integers(0, 60).map(lambda size: "x" * size), min_size=1, max_size=40)
requests = st.lists(st.tuples(st.sampled_from([A, B]), texts), max_size=12)


def drain(lane: Lane, share: int = 1000) -> list:
    batches = []
    while (batch := lane.take(share)) is not None:
        batches.append(batch)
    return batches


@given(requests, st.integers(1, 20), st.integers(1, 200))
def test_every_item_is_taken_once_in_batches_that_fit(asked, most, size):
    lane = Lane(most, size)
    tickets = [Ticket(operation, items) for operation, items in asked]
    for ticket in tickets:
        lane.add(ticket)
    assert lane.waiting == sum(len(items) for _, items in asked)
    batches = drain(lane)
    for batch in batches:
        assert len(batch.items) <= most
        assert len(batch.items) == 1 or sum(map(size_of, batch.items)) <= size
        assert batch.items == sorted(batch.items, key=len)
        assert {ticket.operation for ticket, _ in batch.places} == {batch.operation}
        batch.put([f"<{item}>" for item in batch.items])
    assert lane.waiting == 0
    for ticket in tickets:
        assert ticket.results == [f"<{item}>" for item in ticket.items]
        assert ticket.is_finished


def test_a_long_request_leaves_room_for_others():
    lane = Lane(64, 10_000)
    long, other = Ticket(A, ["text"] * 1000), Ticket(A, ["text"] * 3)
    for ticket in (long, other):
        lane.add(ticket)
    first = lane.take(1000)
    assert first is not None
    assert [ticket for ticket, _ in first.places].count(other) == 3


def test_operations_take_turns():
    lane = Lane(10, 10_000)
    for operation in (A, B):
        lane.add(Ticket(operation, ["text"] * 25))
    assert [batch.operation.model for batch in drain(lane)] == ["a", "b"] * 3


def test_a_ticket_that_is_dropped_is_not_taken():
    lane = Lane(10, 10_000)
    ticket, other = Ticket(A, ["a"] * 5), Ticket(A, ["b"])
    lane.add(ticket)
    lane.add(other)
    lane.drop(ticket)
    assert lane.waiting == 1
    assert [batch.items for batch in drain(lane)] == [["b"]]


def test_items_that_are_put_back_come_first_and_alone():
    lane = Lane(10, 10_000)
    ticket, other = Ticket(A, ["a", "b", "c"]), Ticket(A, ["d"])
    lane.add(ticket)
    batch = lane.take(2)
    assert batch is not None
    lane.add(other)
    lane.add_again(ticket, [0, 1])
    assert [batch.items for batch in drain(lane)] == [["a", "b", "c"], ["d"]]


def test_short_and_long_requests_have_different_lanes():
    assert Ticket(A, ["short"] * 8).lane == 0
    assert Ticket(A, ["short"] * 9).lane == 1
    assert Ticket(A, ["long" * 1000]).lane == 1
    assert Ticket(Operation("a", "continue"), [None]).lane == 1


@given(texts.map(lambda items: sorted(items, key=len)))
def test_windows_hold_all_texts_in_order(items):
    windows = list(alike_windows(items))
    assert [item for window in windows for item in window] == items


def test_a_long_text_has_a_window_of_its_own():
    items = ["a", "b", "x" * 500]
    assert [len(window) for window in alike_windows(items)] == [2, 1]
