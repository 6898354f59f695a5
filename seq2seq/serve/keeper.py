"""Start the worker processes of the server, and replace a worker process that died."""

from __future__ import annotations

import logging
import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from seq2seq.serve.tickets import WorkBatch
from seq2seq.serve.worker import run_worker

_log = logging.getLogger(__name__)

LANES = 2
_PARTING = 5.0  # seconds in which a worker may finish its batch when the server stops
_PATIENCE = 1.0  # seconds before a worker that died at once is started again


class Office(Protocol):
    """Receives reports about worker processes, in the thread of the event loop."""

    def worker_ready(self, keeper: Keeper, labels: dict[str, list[str]]) -> None:
        """Note that a worker process has opened all models. labels: the labels of each model."""

    def worker_failed(self, error: Exception) -> None:
        """Note that a worker process could not open the models."""

    def part_done(self, batch: WorkBatch, part: tuple[list[Any], int]) -> None:
        """Receive results of a part of a batch. part: the results, and their number of tokens."""

    def batch_done(self, keeper: Keeper, lane: int, error: Exception | None) -> None:
        """Note that a batch of a worker has ended. error: the error that ended it, or None.

        lane: 0 for a batch of short requests, 1 for a batch of long ones.
        """

    def worker_died(self, keeper: Keeper) -> None:
        """Note that a worker process died."""


class Keeper:
    """Starts a worker process, sends it batches, and replaces the process if it dies."""

    def __init__(
        self,
        office: Office,
        call: Callable[..., None],
        models: Mapping[str, Sequence[Path]],
        settings: Mapping[str, Any],
    ) -> None:
        """Prepare a worker process without starting it.

        office: receives reports about the worker.
        call: calls a function with arguments in the thread of the event loop.
        models, settings: the arguments of `run_worker`.
        """
        self.process: Any = None
        self.pipes: list[Connection] = []
        self._office, self._call = office, call
        self._opening = dict(models), dict(settings)
        self._inboxes: list[queue.SimpleQueue[WorkBatch | None]] = []
        self.is_closing = False
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start the worker process."""
        self._thread.start()

    def send(self, lane: int, batch: WorkBatch) -> None:
        """Send the worker a batch. lane: 0 for short requests, 1 for long ones."""
        self._inboxes[lane].put(batch)

    def interrupt(self, lane: int) -> None:
        """Tell the worker to stop its current batch, because nobody waits for the results.

        lane: 0 for the batch of short requests, 1 for that of long ones.
        """
        try:
            self.pipes[lane].send(None)
        except OSError:  # the worker died
            return

    def close(self) -> None:
        """Stop the worker and wait for the end of its process."""
        self.is_closing = True
        for inbox in self._inboxes:
            inbox.put(None)
        if not self._inboxes and self.process is not None:
            self.process.kill()  # it is still opening the models
        if self._thread.is_alive():
            self._thread.join(timeout=_PARTING)
        if self.process is not None and self.process.is_alive():
            self.process.kill()
            self.process.join(timeout=_PARTING)

    def _keep(self) -> None:
        """Start the worker process, and replace it whenever it dies, until the server stops."""
        while True:
            started = time.monotonic()
            labels = self._open()
            if self.is_closing:
                self.process.kill()
            if isinstance(labels, Exception):
                self._call(self._office.worker_failed, labels)
                return
            threads = []
            if labels is not None:
                self._inboxes = [queue.SimpleQueue() for _ in range(LANES)]
                for pipe, lane in zip(self.pipes, range(LANES), strict=True):
                    arguments = (pipe, self._inboxes[lane], lane)
                    threads.append(threading.Thread(target=self._drive, args=arguments))
                    threads[-1].daemon = True
                    threads[-1].start()
                self._call(self._office.worker_ready, self, labels)
            self.process.join()
            for inbox in self._inboxes:
                inbox.put(None)
            for thread in threads:
                thread.join()
            if self.is_closing:
                return
            _log.warning(
                "a worker process died (exit code %s); a new worker process replaces it",
                self.process.exitcode,
            )
            self._call(self._office.worker_died, self)
            time.sleep(max(0.0, _PATIENCE - (time.monotonic() - started)))

    def _open(self) -> dict[str, list[str]] | Exception | None:
        """Start a worker process. Return its models' labels, its error, or None if it died."""
        context = multiprocessing.get_context("spawn")
        pairs = [context.Pipe() for _ in range(LANES)]
        self.pipes = [outer for outer, _ in pairs]
        ends = [inner for _, inner in pairs]
        process = context.Process(target=run_worker, args=(ends, *self._opening), daemon=True)
        process.start()
        self.process = process
        if self.is_closing:  # `close` ran before it could see this process
            process.kill()
        for end in ends:
            end.close()  # so that the pipe ends when the process dies
        try:
            answer: dict[str, list[str]] | Exception = self.pipes[0].recv()
        except (EOFError, OSError):
            return None
        return answer

    def _drive(
        self, pipe: Connection, inbox: queue.SimpleQueue[WorkBatch | None], lane: int
    ) -> None:
        """Send batches to the worker, and report the results, until the worker stops or dies.

        lane: 0 for batches of short requests, 1 for batches of long ones.
        """
        try:
            while (batch := inbox.get()) is not None:
                pipe.send((batch.operation, batch.items))
                while True:
                    finished, content = pipe.recv()
                    if finished:
                        break
                    self._call(self._office.part_done, batch, content)
                self._call(self._office.batch_done, self, lane, content)
        except (EOFError, OSError):  # the worker died, and `_keep` reports it
            return
        finally:
            pipe.close()
