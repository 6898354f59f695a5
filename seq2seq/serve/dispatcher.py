"""Combine the texts of requests into batches for worker processes, and return the results."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seq2seq.serve.failures import LostWorkersError, OverloadedError
from seq2seq.serve.keeper import LANES, Keeper
from seq2seq.serve.operations import Operation
from seq2seq.serve.schedule import Schedule
from seq2seq.serve.tickets import Ticket, WorkBatch

_TRIES = 3  # workers that may die over the same text


class Dispatcher:
    """Sends the texts of all requests, in batches, to worker processes.

    Call all methods except `launch` and `close` in the thread of the event loop.
    """

    def __init__(
        self,
        models: Mapping[str, Sequence[Path]],
        settings: Mapping[str, Any],
        *,
        jobs: int,
        most_waiting: int,
        observe: Callable[[WorkBatch, float, int], None] = lambda batch, seconds, tokens: None,
        count_death: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the workers, without starting them.

        models, settings: the arguments of `run_worker`.
        jobs: the number of worker processes.
        most_waiting: the largest number of waiting texts. Further requests are refused.
        observe: called after each batch with the batch, its seconds, and its number of tokens.
        count_death: called after the death of a worker process.
        """
        self.labels: dict[str, list[str]] = {}
        self.most_waiting, self.observe, self.count_death = most_waiting, observe, count_death
        self.schedule = Schedule()
        self._keepers = [Keeper(self, self._call, models, settings) for _ in range(jobs)]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_loop = threading.Event()
        self._opened: asyncio.Future[None] | None = None
        self._alive: set[Keeper] = set()

    @property
    def is_ready(self) -> bool:
        """Whether at least one worker process has opened the models."""
        return bool(self._alive)

    @property
    def waiting(self) -> list[int]:
        """The number of texts that wait in the queues of short and of long requests."""
        return [lane.waiting for lane in self.schedule.lanes]

    @property
    def worker_pids(self) -> list[int]:
        """The process ids of the workers that have opened the models."""
        return [keeper.process.pid for keeper in self._alive]

    def launch(self) -> None:
        """Start the worker processes. This may be called before the event loop exists."""
        for keeper in self._keepers:
            keeper.start()

    async def wait_until_ready(self) -> None:
        """Wait until all workers have opened the models. Raises UserError if one cannot."""
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.create_future()
        self._has_loop.set()
        await self._opened

    def close(self) -> None:
        """Let the workers finish their batches, then stop them and wait until they have ended."""
        self._has_loop.set()
        threads = [threading.Thread(target=keeper.close) for keeper in self._keepers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def run(self, operation: Operation, items: Sequence[Any]) -> list[Any]:
        """Let the workers perform an operation on items. Return the results in order.

        If the caller is cancelled, its items leave the queue. Raises OverloadedError at once if too
        many texts wait, and LostWorkersError if the workers die. Raises UserError as the operation
        does.
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

        For the verb "continue", which continues a prompt, yield the new text piece by piece.
        Raises the same errors as `run`.
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
            raise OverloadedError(max(1, math.ceil(waiting / self.schedule.speed)))
        ticket = Ticket(operation, items)
        self.schedule.lanes[ticket.lane].add(ticket)
        self._assign(ticket.lane)
        return ticket

    def _leave(self, ticket: Ticket) -> None:
        """Remove an unfinished request from the queue, because nobody waits for it any more."""
        if ticket.is_finished:
            return
        ticket.gone = True
        self.schedule.lanes[ticket.lane].drop(ticket)
        for (keeper, lane), batch in self.schedule.running.items():
            if batch.operation.verb == "continue" and not batch.tickets:
                keeper.interrupt(lane)

    def _assign(self, lane: int) -> None:
        """Send waiting items to idle workers. lane: 0 for short requests, 1 for long ones."""
        for (keeper, _), batch in self.schedule.assign(lane):
            keeper.send(lane, batch)

    def worker_ready(self, keeper: Keeper, labels: dict[str, list[str]]) -> None:
        self.labels = labels
        self._alive.add(keeper)
        for lane in range(LANES):
            self.schedule.idle.add((keeper, lane))
        if self._opened and not self._opened.done() and len(self._alive) == len(self._keepers):
            self._opened.set_result(None)
        for lane in range(LANES):
            self._assign(lane)

    def worker_failed(self, error: Exception) -> None:
        if self._opened and not self._opened.done():
            self._opened.set_exception(error)

    def part_done(self, batch: WorkBatch, part: tuple[list[Any], int]) -> None:
        results, tokens = part
        batch.tokens += tokens
        if batch.operation.verb == "continue":
            batch.places[0][0].put_piece(results)
        else:
            batch.put(results)

    def batch_done(self, keeper: Keeper, lane: int, error: Exception | None) -> None:
        batch = self.schedule.finish((keeper, lane))
        self.observe(batch, time.monotonic() - batch.started, batch.tokens)
        if error is not None:
            self._settle(batch, error)
        elif batch.operation.verb == "continue":
            for ticket in batch.tickets:
                ticket.end_pieces()
        self._assign(lane)
        if wait := self.schedule.hold((keeper, lane)):
            asyncio.get_running_loop().call_later(wait, self._release, keeper, lane)

    def _release(self, keeper: Keeper, lane: int) -> None:
        self.schedule.release((keeper, lane))
        self._assign(lane)

    def _settle(self, batch: WorkBatch, error: Exception) -> None:
        """Handle an error in a batch. If several requests shared it, run each one again alone."""
        tickets = batch.tickets
        shared = len({id(ticket) for ticket, _ in batch.places}) > 1
        for ticket in tickets:
            if shared:
                self._repeat(ticket, batch)
            else:
                self._reject(ticket, error)

    def _repeat(self, ticket: Ticket, batch: WorkBatch) -> None:
        numbers = [number for other, number in batch.places[batch.done :] if other is ticket]
        self.schedule.lanes[ticket.lane].add_again(ticket, numbers)

    def _reject(self, ticket: Ticket, error: Exception) -> None:
        self.schedule.lanes[ticket.lane].drop(ticket)
        ticket.fail(error)

    def worker_died(self, keeper: Keeper) -> None:
        self.count_death()
        self._alive.discard(keeper)
        for lane in range(LANES):
            batch = self.schedule.remove((keeper, lane))
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
        self._has_loop.wait()
        try:
            if self._loop:
                self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the event loop is closed, because the server stops
            return
