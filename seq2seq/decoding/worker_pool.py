"""Worker processes that translate different lines of the input at the same time.

Each worker has a thread in the parent process. The thread takes the next list of lines, sends it to
the worker and waits for the results. The results are returned in the order of the input. If a
worker dies, its thread starts a new worker and sends the same lines again.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from seq2seq.decoding.options import AnySearch
from seq2seq.decoding.results import LineResult
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.errors import UserError
from seq2seq.progress import Advance

_log = logging.getLogger(__name__)

_AHEAD = 4  # windows per worker that are read before the oldest one is done
_TRIES = 3  # workers that may die over the same lines


class WorkersDiedError(UserError):
    """The error that several workers died while they translated the same lines."""


class WorkerPool:
    """Translates like a `Translator`, but in several processes with one thread each.

    Use the pool as a context manager. The workers stop at the end of the `with` block.
    """

    def __init__(self, folders: Sequence[Path], jobs: int, *, batch_size: int = 64) -> None:
        """Prepare workers, without starting them.

        folders: an export, or several for an ensemble.
        jobs: the number of worker processes.
        batch_size: the largest number of lines in a batch.
        """
        self.jobs = jobs
        self._open = (list(folders), batch_size)

    def translate_windows(
        self,
        windows: Iterable[Sequence[str]],
        options: AnySearch,
        *,
        align: bool = False,
        advance: Advance | None = None,
        source: SourceOptions | None = None,
    ) -> Iterator[LineResult]:
        """Yield the result for each line, in order.

        The arguments are those of `Translator.translate_windows`. Raises the errors that this
        method raises in a worker. Also raises WorkersDiedError.
        """
        room = threading.Semaphore(_AHEAD * self.jobs)
        work = _Work(iter(windows), options, align, source, room)
        threads = [
            threading.Thread(target=_serve, args=(self._open, work), daemon=True)
            for _ in range(self.jobs)
        ]
        for thread in threads:
            thread.start()
        try:
            for results in work.in_order():
                if advance:
                    advance(len(results))
                yield from results
        finally:
            work.stop()


@dataclass
class _Work:
    """The state that the threads share: the lines to translate, and the finished results.

    windows: lists of lines. A worker translates one list at a time.
    room: limits the number of lists in progress.
    done: the results of each finished list, or its error, by the number of the list.
    """

    windows: Iterator[Sequence[str]]
    options: AnySearch
    align: bool
    source: SourceOptions | None
    room: threading.Semaphore
    done: dict[int, list[LineResult] | BaseException] = field(default_factory=dict)
    stopped: bool = False
    _taken: int = 0
    _lines: int = 0
    _total: int | None = None
    _taking: threading.Lock = field(default_factory=threading.Lock)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self) -> tuple[int, int, Sequence[str]] | None:
        """Return the next list of lines: its number, the number of lines before it, and its lines.

        Returns None when there are no more lines.
        """
        self.room.acquire()
        with self._taking:
            if self.stopped or self._total is not None:
                return None
            number, before = self._taken, self._lines
            try:
                lines = next(self.windows)
            except StopIteration:
                self._finish(number)
                return None
            except BaseException as error:  # raised again by the main thread, in its place
                self.put(number, error)
                self._finish(number + 1)
                return None
            self._taken, self._lines = number + 1, before + len(lines)
            return number, before, lines

    def _finish(self, total: int) -> None:
        with self._changed:
            self._total = total
            self._changed.notify_all()
        self.room.release()  # for a thread that waits, which then sees the end

    def put(self, number: int, results: list[LineResult] | BaseException) -> None:
        with self._changed:
            self.done[number] = results
            self._changed.notify_all()

    def in_order(self) -> Iterator[list[LineResult]]:
        """Yield the results of each list of lines, in order. If a list failed, raise its error."""
        number = 0
        while True:
            with self._changed:
                while number not in self.done and number != self._total:
                    self._changed.wait()
                if number not in self.done:
                    return
                results = self.done.pop(number)
            if isinstance(results, BaseException):
                raise results
            yield results
            number += 1
            self.room.release()

    def stop(self) -> None:
        self.stopped = True
        self.room.release()


def _serve(opening: tuple[list[Path], int], work: _Work) -> None:
    """Send lists of lines to one worker until no list is left.

    This function runs in a thread of the parent process.
    """
    # The workers inherit this, so Ctrl-C does not interrupt them while they still import modules.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    worker: _Worker | None = None
    while (taken := work.take()) is not None:
        number, before, lines = taken
        request = (before, lines, work.options, work.align, work.source)
        result: list[LineResult] | BaseException = WorkersDiedError(
            f"lines {before + 1} to {before + len(lines)}: {_TRIES} workers died over these lines; "
            "the memory may be too small: use fewer --jobs or a smaller --batch-size"
        )
        for _ in range(_TRIES):
            try:
                worker = worker or _Worker(opening)
            except OSError as error:
                result = UserError(
                    f"a worker process cannot be started ({error.strerror or error}): use fewer "
                    "--jobs, or raise the limits of this process (ulimit)"
                )
                break
            answer = worker.ask(request)
            if answer is not None:
                result = answer
                break
            if work.stopped:
                return
            _log.warning(
                "a worker died (exit code %s): lines %d to %d are translated again",
                worker.process.exitcode,
                before + 1,
                before + len(lines),
            )
            worker = None
        work.put(number, result)
    work.room.release()  # wakes the next thread that waits for a place
    if worker:
        worker.close()


class _Worker:
    """A worker process, and the parent's end of the pipe to the worker."""

    def __init__(self, opening: tuple[list[Path], int]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, inner = context.Pipe()
        self.process = context.Process(target=_run_worker, args=(inner, *opening), daemon=True)
        self.process.start()
        inner.close()  # so that the pipe ends when the process dies

    def ask(self, request: Any) -> list[LineResult] | BaseException | None:
        """Send a request to the worker and return the answer, or None if the worker died."""
        try:
            self.pipe.send(request)
            answer: list[LineResult] | BaseException = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return None
        return answer

    def close(self) -> None:
        self.pipe.close()
        self.process.join(timeout=5)


def _run_worker(pipe: Connection, folders: list[Path], batch_size: int) -> None:
    """Translate the requests that arrive until the pipe is closed. Runs in the worker process."""
    from seq2seq.decoding.translator import Translator
    from seq2seq.system import keep_freed_memory

    keep_freed_memory(endless=True)
    translator: Translator | None = None
    while True:
        try:
            before, lines, options, align, source = pipe.recv()
        except EOFError:
            return
        try:
            translator = translator or Translator.load(*folders, batch_size=batch_size)
            results = translator.translate_windows(
                [lines], options, align=align, before=before, source=source
            )
            answer: list[LineResult] | BaseException = list(results)
        except Exception as error:
            answer = error
        try:
            pipe.send(answer)
        except OSError:  # the parent is gone
            return
