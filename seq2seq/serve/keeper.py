"""Start the worker processes of the server, and replace a worker process that died."""

from __future__ import annotations

import contextlib
import logging
import math
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from seq2seq.errors import UserError
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
        self._office, self._call = office, call
        self._opening = dict(models), dict(settings)
        self._lanes: list[tuple[Connection, queue.SimpleQueue[WorkBatch | None]]] = []
        self.is_closing = False
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start the worker process."""
        self._thread.start()

    def send(self, lane: int, batch: WorkBatch) -> None:
        """Send the worker a batch. lane: 0 for short requests, 1 for long ones."""
        pipe, inbox = self._lanes[lane]
        if lane == 0:  # a hop to the other thread costs time, and a short batch fits in the pipe
            _send(pipe, (batch.operation, batch.items))
        inbox.put(batch)

    def interrupt(self, lane: int) -> None:
        """Tell the worker to stop its current batch, because nobody waits for the results.

        lane: 0 for the batch of short requests, 1 for that of long ones.
        """
        _send(self._lanes[lane][0], None)

    def close(self) -> None:
        """Stop the worker and wait for the end of its process."""
        self.is_closing = True
        for _, inbox in self._lanes:
            inbox.put(None)
        if not self._lanes and self.process is not None:
            self.process.kill()  # it is still opening the models
        if self._thread.is_alive():
            self._thread.join(timeout=_PARTING)
        if self.process is not None and self.process.is_alive():
            self.process.kill()
            self.process.join(timeout=_PARTING)

    def _keep(self) -> None:
        """Start the worker process, and replace it whenever it dies, until the server stops."""
        # The worker inherits this, so Ctrl-C does not interrupt it while it still imports modules.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        while True:
            started = time.monotonic()
            labels, pipes = self._open()
            if self.is_closing and self.process is not None:
                self.process.kill()
            if isinstance(labels, Exception):
                self._call(self._office.worker_failed, labels)
                if self.is_closing or not self._lanes:  # the server stops
                    return
                _log.error("no new worker process: %s; the server tries again", labels)
                time.sleep(_PATIENCE)
                continue
            threads = []
            if labels is not None:
                self._lanes = [(pipe, queue.SimpleQueue()) for pipe in pipes]
                for lane, (pipe, inbox) in enumerate(self._lanes):
                    arguments = (pipe, inbox, lane)
                    threads.append(threading.Thread(target=self._drive, args=arguments))
                    threads[-1].daemon = True
                    threads[-1].start()
                self._call(self._office.worker_ready, self, labels)
            self.process.join()
            for _, inbox in self._lanes:
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

    def _open(self) -> tuple[dict[str, list[str]] | Exception | None, list[Connection]]:
        """Start a worker process. Return its models' labels, its error, or None if it died.

        The second value is the list of its pipes, one for each lane.
        """
        context = multiprocessing.get_context("spawn")
        try:
            pairs = [context.Pipe() for _ in range(LANES)]
            pipes = [outer for outer, _ in pairs]
            ends = [inner for _, inner in pairs]
            process = context.Process(target=run_worker, args=(ends, *self._opening), daemon=True)
            process.start()
        except OSError as error:  # such as too many open files
            reason = error.strerror or error
            return UserError(f"a worker process cannot be started ({reason}); check ulimit"), []
        self.process = process
        if self.is_closing:  # `close` ran before it could see this process
            process.kill()
        for end in ends:
            end.close()  # so that the pipe ends when the process dies
        try:
            return pipes[0].recv(), pipes
        except (EOFError, OSError):
            return None, pipes

    def _drive(
        self, pipe: Connection, inbox: queue.SimpleQueue[WorkBatch | None], lane: int
    ) -> None:
        """Send batches to the worker, and report the results, until the worker stops or dies.

        lane: 0 for batches of short requests, 1 for batches of long ones.
        """
        try:
            while (batch := inbox.get()) is not None:
                if lane:
                    pipe.send((batch.operation, batch.items))
                missing = math.inf if batch.operation.verb == "continue" else len(batch.places)
                error: Exception | None = None
                while missing and error is None:
                    answer = pipe.recv()
                    if answer is None:
                        break
                    if isinstance(answer, Exception):
                        error = answer
                    else:
                        missing -= len(answer[0])
                        self._call(self._office.part_done, batch, answer)
                self._call(self._office.batch_done, self, lane, error)
        except (EOFError, OSError):  # the worker died, and `_keep` reports it
            return
        finally:
            pipe.close()


def _send(pipe: Connection, message: object) -> None:
    """Send a message to a worker. If the worker died, do nothing, because `_keep` reports it."""
    with contextlib.suppress(OSError):
        pipe.send(message)
