"""The queue between requests and workers: it makes batches, and gives results to requests."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.serve.failures import LostWorkersError, OverloadedError
from seq2seq.serve.keeper import LANES, Keeper
from seq2seq.serve.operations import Operation
from seq2seq.serve.tickets import Lane, Ticket, WorkBatch

_TRIES = 3  # workers that may die over the same text
_SHORT_BATCH, _LONG_BATCH = (64, 8_000), (256, 32_000)  # items and characters
_MEMORY = 0.9  # weight of the past in the measured speed
# The clients of a batch that is finished are about to send again. A worker that waits for them
# translates them together, which is much faster than one by one.
_MANY, _WAIT = 8, 0.2  # texts from which this counts, and the share of a batch's time to wait
_FEWEST = 16  # texts that are not shared among workers


class Dispatcher:
    """Collects the texts of all requests, and has them done by worker processes.

    All methods belong to the thread of the event loop, except those of `Office`.
    """

    def __init__(
        self,
        models: Mapping[str, Sequence[Path]],
        settings: Mapping[str, Any],
        *,
        jobs: int,
        most_waiting: int,
        observe: Callable[[WorkBatch, float, int], None] = lambda batch, seconds, tokens: None,
    ) -> None:
        """Prepare the workers, without starting them.

        models, settings: the arguments of `run_worker`.
        jobs: the number of worker processes.
        most_waiting: the number of texts that may wait. A request on top of that is refused.
        observe: called after each batch with its seconds and tokens.
        """
        self.labels: dict[str, list[str]] = {}
        self.most_waiting, self.observe = most_waiting, observe
        self.running: dict[tuple[Keeper, int], WorkBatch] = {}
        self._tokens: Counter[int] = Counter()
        self._lanes = [Lane(*_SHORT_BATCH), Lane(*_LONG_BATCH)]
        self._idle: set[tuple[Keeper, int]] = set()
        self._held: dict[tuple[Keeper, int], int] = {}
        self._keepers = [Keeper(self, models, settings) for _ in range(jobs)]
        self._speed = 100.0  # items per second
        self._pace = 0.0  # seconds of a batch in the short lane
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: asyncio.Future[None] | None = None
        self._alive: set[Keeper] = set()

    @property
    def is_ready(self) -> bool:
        """Whether a worker can take texts."""
        return bool(self._alive)

    @property
    def waiting(self) -> list[int]:
        """The number of texts that wait in the short and in the long lane."""
        return [lane.waiting for lane in self._lanes]

    @property
    def worker_pids(self) -> list[int]:
        """The process numbers of the workers that are ready."""
        return [keeper.process.pid for keeper in self._alive]

    async def start(self) -> None:
        """Start the workers, and wait until all of them have opened the models.

        Raises UserError if a model cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        for keeper in self._keepers:
            keeper.start()
        await self._opened

    async def stop(self) -> None:
        """Stop the workers after their batches."""
        closing = [asyncio.to_thread(keeper.close) for keeper in self._keepers]
        await asyncio.gather(*closing)

    async def run(self, operation: Operation, items: Sequence[Any]) -> list[Any]:
        """Return the result for each item, in order.

        If the caller is cancelled, its items leave the queue. Raises OverloadedError at once if too
        many texts wait. Raises the UserError of an operation, and LostWorkersError.
        """
        if not items:
            return []
        ticket = self._submit(operation, items)
        try:
            while not ticket.is_finished:
                ticket.changed.clear()
                await ticket.changed.wait()
        finally:
            self._leave(ticket)
        if ticket.error:
            raise ticket.error
        return ticket.results

    async def stream(self, operation: Operation, items: Sequence[Any]) -> AsyncIterator[Any]:
        """Yield the result for each item, in order, as soon as all earlier items are finished.

        The verb "continue" yields the pieces of its text. Raises what `run` raises.
        """
        if not items:
            return
        ticket = self._submit(operation, items)
        try:
            number = 0
            pieces = operation.verb == "continue"
            while number < len(ticket.results) or (pieces and ticket.missing):
                if ticket.error:
                    raise ticket.error
                if number < len(ticket.results) and ticket.results[number] is not None:
                    yield ticket.results[number]
                    number += 1
                    continue
                ticket.changed.clear()
                await ticket.changed.wait()
            if ticket.error:
                raise ticket.error
        finally:
            self._leave(ticket)

    def _submit(self, operation: Operation, items: Sequence[Any]) -> Ticket:
        waiting = sum(self.waiting)
        if waiting and waiting + len(items) > self.most_waiting:
            raise OverloadedError(max(1, math.ceil(waiting / self._speed)))
        ticket = Ticket(operation, items)
        self._lanes[ticket.lane].add(ticket)
        self._assign(ticket.lane)
        return ticket

    def _leave(self, ticket: Ticket) -> None:
        """Drop a ticket that nobody waits for."""
        if ticket.is_finished:
            return
        ticket.gone = True
        self._lanes[ticket.lane].drop(ticket)
        for (keeper, lane), batch in self.running.items():
            if batch.operation.verb == "continue" and not batch.tickets:
                keeper.interrupt(lane)

    def _assign(self, lane: int) -> None:
        """Give waiting items to the idle workers of a lane."""
        waiting = self._lanes[lane].waiting
        idle = [p for p in self._idle if p[1] == lane and waiting >= self._held.get(p, 0)]
        share = max(_FEWEST, self._share(lane)) if idle else 0
        while idle and (batch := self._lanes[lane].take(share)) is not None:
            place = idle.pop()
            self._idle.discard(place)
            self._held.pop(place, None)
            self.running[place] = batch
            place[0].send(lane, batch)

    def _ready(self, keeper: Keeper, labels: dict[str, list[str]]) -> None:
        self.labels = labels
        self._alive.add(keeper)
        self._idle |= {(keeper, lane) for lane in range(LANES)}
        if self._opened and not self._opened.done() and len(self._alive) == len(self._keepers):
            self._opened.set_result(None)
        for lane in range(LANES):
            self._assign(lane)

    def _fail(self, error: Exception) -> None:
        if self._opened and not self._opened.done():
            self._opened.set_exception(error)

    def _part(self, batch: WorkBatch, results: list[Any], tokens: int) -> None:
        self._tokens[id(batch)] += tokens
        if batch.operation.verb == "continue":
            batch.places[0][0].put_piece(results)
        else:
            batch.put(results)

    def _finish(self, keeper: Keeper, lane: int, error: Exception | None) -> None:
        batch = self.running.pop((keeper, lane))
        seconds = time.monotonic() - batch.started
        speed = len(batch.places) / max(seconds, 1e-3)
        self._speed = _MEMORY * self._speed + (1 - _MEMORY) * speed
        self.observe(batch, seconds, self._tokens.pop(id(batch), 0))
        if error is not None:
            self._settle(batch, error)
        elif batch.operation.verb == "continue":
            for ticket in batch.tickets:
                ticket.end_pieces()
        self._idle.add((keeper, lane))
        if lane == 0:
            self._pace = (self._pace + seconds) / 2
            wanted = self._share(lane, len(batch.places))
            if wanted >= _MANY and self._loop:
                self._held[keeper, lane] = wanted
                self._loop.call_later(_WAIT * self._pace, self._release, keeper, lane)
        self._assign(lane)

    def _share(self, lane: int, finished: int = 0) -> int:
        """Return the number of texts that each worker gets if all share the work of a lane.

        finished: the texts of a batch that just ended, whose clients may send again.
        """
        running = sum(len(b.places) for (_, other), b in self.running.items() if other == lane)
        total = self._lanes[lane].waiting + running + finished
        return -(-total // max(1, len(self._alive)))

    def _release(self, keeper: Keeper, lane: int) -> None:
        self._held.pop((keeper, lane), None)
        self._assign(lane)

    def _settle(self, batch: WorkBatch, error: Exception) -> None:
        """Handle an error in a batch. Requests that shared the batch are tried again, alone."""
        tickets = batch.tickets
        shared = len({id(ticket) for ticket, _ in batch.places}) > 1
        for ticket in tickets:
            if shared:
                self._repeat(ticket, batch)
            else:
                self._reject(ticket, error)

    def _repeat(self, ticket: Ticket, batch: WorkBatch) -> None:
        numbers = [number for other, number in batch.places[batch.done :] if other is ticket]
        self._lanes[ticket.lane].add_again(ticket, numbers)

    def _reject(self, ticket: Ticket, error: Exception) -> None:
        self._lanes[ticket.lane].drop(ticket)
        ticket.fail(error)

    def _died(self, keeper: Keeper) -> None:
        self._alive.discard(keeper)
        for lane in range(LANES):
            self._idle.discard((keeper, lane))
            batch = self.running.pop((keeper, lane), None)
            for ticket in batch.tickets if batch else ():
                assert batch is not None
                ticket.tries += 1
                if ticket.tries >= _TRIES or batch.operation.verb == "continue":
                    text = "the worker died over this text: send a shorter text"
                    self._reject(ticket, LostWorkersError(text))
                else:
                    self._repeat(ticket, batch)
            self._assign(lane)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        assert self._loop is not None
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the event loop is closed, because the server stops
            return

    def worker_ready(self, keeper: Keeper, labels: dict[str, list[str]]) -> None:
        """See `Office.worker_ready`."""
        self._call(self._ready, keeper, labels)

    def worker_failed(self, error: Exception) -> None:
        """See `Office.worker_failed`."""
        self._call(self._fail, error)

    def part_done(self, batch: WorkBatch, part: tuple[list[Any], int]) -> None:
        """See `Office.part_done`."""
        self._call(self._part, batch, *part)

    def batch_done(self, keeper: Keeper, lane: int, error: Exception | None) -> None:
        """See `Office.batch_done`."""
        self._call(self._finish, keeper, lane, error)

    def worker_died(self, keeper: Keeper) -> None:
        """See `Office.worker_died`."""
        self._call(self._died, keeper)
