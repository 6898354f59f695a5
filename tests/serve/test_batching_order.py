"""The schedule: who gets which items, and that no worker waits for ever."""

from __future__ import annotations

from typing import Any

from seq2seq.serve.operations import Operation
from seq2seq.serve.schedule import Schedule
from seq2seq.serve.tickets import Ticket

A = Operation("a", "translate")
WORKERS: list[Any] = ["one", "two"]


def schedule(*workers: Any) -> Schedule:
    found = Schedule()
    found.idle |= {(worker, lane) for worker in workers for lane in (0, 1)}
    return found


def add(found: Schedule, count: int) -> None:
    for _ in range(count):
        found.lanes[0].add(Ticket(A, ["text"]))


def test_workers_share_the_texts():
    found = schedule(*WORKERS)
    add(found, 40)
    assert [len(batch.places) for _, batch in found.assign(0)] == [20, 20]
    assert not list(found.assign(0))


def test_a_few_texts_are_not_shared():
    found = schedule(*WORKERS)
    add(found, 12)
    assert [len(batch.places) for _, batch in found.assign(0)] == [12]


def test_a_worker_waits_for_the_clients_of_its_batch_until_it_is_released():
    found = schedule("one")
    add(found, 32)
    ((place, _),) = found.assign(0)
    found.finish(place)
    assert found.hold(place) > 0
    add(found, 1)
    assert not list(found.assign(0))
    found.release(place)
    assert [len(batch.places) for _, batch in found.assign(0)] == [1]


def test_a_worker_that_has_what_it_waits_for_starts():
    found = schedule("one")
    add(found, 32)
    ((place, _),) = found.assign(0)
    found.finish(place)
    add(found, 32)
    assert [len(batch.places) for _, batch in found.assign(0)] == [32]


def test_a_worker_does_not_wait_after_a_single_text():
    found = schedule("one")
    add(found, 1)
    ((place, _),) = found.assign(0)
    found.finish(place)
    assert found.hold(place) == 0
    add(found, 1)
    assert [len(batch.places) for _, batch in found.assign(0)] == [1]


def test_a_worker_that_died_gets_nothing():
    found = schedule("one")
    add(found, 1)
    ((place, batch),) = found.assign(0)
    assert found.remove(place) is batch
    add(found, 1)
    assert not list(found.assign(0))
