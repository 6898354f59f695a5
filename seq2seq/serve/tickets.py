"""The texts that wait for a worker process, and the batches that combine them.

A ticket holds the items of one request for one operation. A lane is a queue of tickets. Use both
only in the thread of the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from seq2seq.serve.operations import Operation, size_of

SHORT_ITEMS, SHORT_SIZE = 8, 2000  # items and characters of the largest request of the short lane
_SHARE = 32  # items of one ticket that a batch takes before it takes those of another ticket


@dataclass(eq=False)
class Ticket:
    """The items, such as texts, of one request to the server, and their results so far.

    changed: an event that is set when results or an error arrive.
    waiting: the numbers of the items that no worker has received.
    alone: whether the items must not share a batch with another request's items, because a batch
        with these items has failed.
    """

    operation: Operation
    items: Sequence[Any]
    arrived: float = field(default_factory=time.monotonic)
    results: list[Any] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: deque[int] = field(default_factory=deque)
    missing: int = 0
    tries: int = 0
    alone: bool = False
    gone: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.results = [None] * len(self.items)
        self.waiting = deque(range(len(self.items)))
        self.missing = len(self.items)

    @property
    def lane(self) -> int:
        """The number of the queue for this request: 0 for short requests, 1 for long ones."""
        if self.operation.is_heavy:
            return 1
        small = len(self.items) <= SHORT_ITEMS and sum(map(size_of, self.items)) <= SHORT_SIZE
        return 0 if small else 1

    @property
    def is_finished(self) -> bool:
        """Whether the request has all its results, has failed, or was cancelled."""
        return self.gone or self.error is not None or not self.missing

    def put(self, number: int, result: Any) -> None:
        """Store the result of an item."""
        self.results[number] = result
        self.missing -= 1
        self.changed.set()

    def put_piece(self, pieces: Sequence[Any]) -> None:
        """Store new pieces of a text that is being generated.

        Until `end_pieces` is called, the last entry of `results` is None.
        """
        self.results[-1:] = [*pieces, None]
        self.changed.set()

    def end_pieces(self) -> None:
        """Note that the text whose pieces `put_piece` stored is finished."""
        self.results.pop()
        self.missing = 0
        self.changed.set()

    def fail(self, error: Exception) -> None:
        """End the request with an error."""
        self.error = self.error or error
        self.changed.set()


@dataclass(eq=False)
class WorkBatch:
    """A batch of items for one worker process, in order of length.

    places: for each item, its request (a `Ticket`) and its number in that request.
    done: the number of items that have results.
    tokens: the number of tokens of these items.
    """

    operation: Operation
    places: list[tuple[Ticket, int]]
    done: int = 0
    tokens: int = 0
    started: float = field(default_factory=time.monotonic)

    @property
    def items(self) -> list[Any]:
        return [ticket.items[number] for ticket, number in self.places]

    @property
    def tickets(self) -> list[Ticket]:
        """The requests with items in the batch that still need results."""
        unique = {id(ticket): ticket for ticket, _ in self.places[self.done :]}
        return [ticket for ticket in unique.values() if not ticket.is_finished]

    def put(self, results: Sequence[Any]) -> None:
        """Store the results of the next items of the batch in the items' requests."""
        for (ticket, number), result in zip(self.places[self.done :], results, strict=False):
            if not ticket.is_finished:
                ticket.put(number, result)
        self.done += len(results)


class Lane:
    """A queue of requests (`Ticket`), which serves operations and requests in rotation."""

    def __init__(self, most: int, size: int) -> None:
        """Create an empty queue.

        most: the largest number of items in a batch.
        size: the largest number of characters in a batch of several items.
        """
        self.most, self.size = most, size
        self.waiting = 0  # items
        self._queues: OrderedDict[Operation, deque[Ticket]] = OrderedDict()

    def add(self, ticket: Ticket) -> None:
        """Add a request to the end of the queue for its operation."""
        self.waiting += len(ticket.waiting)
        self._queues.setdefault(ticket.operation, deque()).append(ticket)

    def add_again(self, ticket: Ticket, numbers: Sequence[int]) -> None:
        """Put items of a request back at the front. They share no batch with other requests."""
        ticket.alone = True
        ticket.waiting.extendleft(reversed(numbers))
        self.waiting += len(numbers)
        queue = self._queues.setdefault(ticket.operation, deque())
        if ticket not in queue:
            queue.appendleft(ticket)
        self._queues.move_to_end(ticket.operation, last=False)

    def drop(self, ticket: Ticket) -> None:
        """Remove the waiting items of a request from the queue."""
        self.waiting -= len(ticket.waiting)
        ticket.waiting.clear()

    def take(self, share: int) -> WorkBatch | None:
        """Return the next batch of at most `share` items, or None if nothing waits."""
        while self._queues:
            operation, queue = next(iter(self._queues.items()))
            most = min(self.most, share)
            places = self._fill(queue, most)
            if queue:
                self._queues.move_to_end(operation)
            else:
                del self._queues[operation]
            self.waiting -= len(places)
            if places:
                places.sort(key=lambda place: size_of(place[0].items[place[1]]))
                return WorkBatch(operation, places)
        return None

    def _fill(self, queue: deque[Ticket], most: int) -> list[tuple[Ticket, int]]:
        places: list[tuple[Ticket, int]] = []
        room = self.size
        while queue and len(places) < most:
            ticket = queue[0]
            if not ticket.waiting:
                queue.popleft()
                continue
            if ticket.alone and places:
                break
            share = min(most, len(places) + _SHARE)
            while ticket.waiting and len(places) < share:
                room -= size_of(ticket.items[ticket.waiting[0]])
                if room < 0 and places:
                    return places
                places.append((ticket, ticket.waiting.popleft()))
            queue.popleft()
            if ticket.waiting:
                queue.append(ticket)
            if ticket.alone:
                break
        return places
