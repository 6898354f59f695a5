"""Share the shards of a folder among the workers of a Ray cluster.

A worker is a Ray actor. It opens the model once and gets one shard at a time. A shard whose worker
dies goes to another worker. Plain actors fit better than `ray.data` here, because the unit of work
is a file: the main process always knows which file a dead worker had, says so, and can give up on a
file that kills every worker.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.bulk.cluster import open_cluster
from seq2seq.bulk.formats import check_parquet_columns
from seq2seq.bulk.shards import Shard, find_shards, output_folder
from seq2seq.errors import UserError, counted
from seq2seq.export.artifact import is_export
from seq2seq.progress import show_progress

if TYPE_CHECKING:
    from seq2seq.bulk.worker import BulkOptions, ShardResult, ShardTranslator

_log = logging.getLogger(__name__)

_TRIES = 3  # workers that may die over the same shard, or that may fail to start
_PATIENCE = 60  # seconds without a worker before a warning


@dataclass
class BulkSummary:
    """What a bulk translation did.

    translated: the number of shards that this run translated.
    finished: the number of shards that an earlier run had already translated.
    lines: the number of texts that this run translated.
    failed: the reason for each shard that could not be translated, by the name of the shard.
    """

    translated: int = 0
    finished: int = 0
    lines: int = 0
    failed: dict[str, str] = field(default_factory=dict)


def translate_folder(
    source: Path,
    output: Path,
    options: BulkOptions,
    *,
    workers: int = 0,
    address: str | None = None,
) -> BulkSummary:
    """Translate all shards of a folder into files of the same names in another folder.

    Shards that an earlier run finished are kept if their input, the model and the options are still
    the same. The summary names the shards that could not be translated.

    workers: the number of workers. 0 uses all cores, or all GPUs, of the machine or the cluster.
    address: the address of a Ray cluster, or "auto" for the cluster that this machine belongs to.
        All its machines need the folders under the same paths. None starts a cluster on this
        machine for the time of the call, unless the program has already called `ray.init`.

    Raises UserError in the cases of `find_shards`, if Ray is not installed, if the cluster cannot
    be reached, for a missing Parquet column, and if no worker can open the model.
    """
    shards = find_shards(source, output)
    for shard in shards:
        if shard.is_parquet:  # the workers check all Parquet files
            check_parquet_columns(shard.input, options.column, options.new_column)
            break
    with output_folder(output), open_cluster(address, workers * options.threads) as resources:
        options, count = _fit(options, resources, workers)
        files, running = counted(len(shards), "file"), counted(min(count, len(shards)), "worker")
        _log.info("translating %s with %s", files, running)
        with show_progress("translating files", len(shards)) as advance:
            dispatcher = _Dispatcher(options, deque(shards), advance)
            return dispatcher.run(min(count, len(shards)))


def _fit(
    options: BulkOptions, resources: dict[str, float], workers: int
) -> tuple[BulkOptions, int]:
    """Return the options with "cuda" or "cpu" instead of "auto", and the number of workers."""
    gpus = int(resources.get("GPU", 0))
    if options.device == "auto":
        use_gpu = gpus > 0 and not is_export(options.folders[0])
        options = replace(options, device="cuda" if use_gpu else "cpu")
    cores = int(resources.get("CPU", 1)) // options.threads
    return options, workers or max(1, gpus if options.device.startswith("cuda") else cores)


class _Worker:
    def __init__(self, options: BulkOptions) -> None:
        self.options = options
        self.translator: ShardTranslator | None = None

    def open(self) -> str:
        """Open the model. Return the error message for a mistake of the user, or "" on success."""
        from seq2seq.bulk.worker import ShardTranslator

        try:
            self.translator = ShardTranslator(self.options)
        except UserError as error:
            return str(error)
        return ""

    def run(self, shard: Shard) -> ShardResult:
        assert self.translator is not None
        return self.translator.run(shard)


class _Dispatcher:
    """Gives shards to workers until every shard is translated or has failed."""

    def __init__(self, options: BulkOptions, waiting: deque[Shard], advance: Any) -> None:
        self.options, self.waiting, self.advance = options, waiting, advance
        # What each worker is doing: its shard, or None while it opens the model.
        self.busy: dict[Any, tuple[Any, Shard | None]] = {}
        self.deaths: dict[str, int] = {}
        self.failed_starts = 0
        self.warned = False
        self.summary = BulkSummary()

    def run(self, workers: int) -> BulkSummary:
        import ray

        for _ in range(workers):
            self._start()
        # Workers that still open the model, or that wait for a free core, are not waited for.
        while self.waiting or any(shard for _, shard in self.busy.values()):
            answers, _ = ray.wait(list(self.busy), timeout=_PATIENCE)
            if not answers:
                self._warn_idle()
                continue
            answer = answers[0]
            worker, shard = self.busy.pop(answer)
            try:
                result = ray.get(answer)
            except ray.exceptions.RayActorError as error:
                with suppress(Exception):  # a worker that is cut off, but still alive
                    ray.kill(worker)
                self._replace(shard, error)
                continue
            if shard is not None:
                self._record(shard, result)
            elif result:
                raise UserError(result)
            if self.waiting:
                following = self.waiting.popleft()
                self.busy[worker.run.remote(following)] = worker, following
        return self.summary

    def _start(self) -> None:
        """Start a worker. Ray lets it wait until enough cores and GPUs are free."""
        import ray

        gpus = 1 if self.options.device.startswith("cuda") else 0
        actor = ray.remote(_Worker).options(num_cpus=self.options.threads, num_gpus=gpus)
        worker = actor.remote(self.options)
        self.busy[worker.open.remote()] = worker, None

    def _warn_idle(self) -> None:
        """Warn that the cluster may be busy if no worker has started yet. Warn only once."""
        if not self.warned and all(shard is None for _, shard in self.busy.values()):
            self.warned = True
            _log.warning(
                "no worker has started yet; perhaps the cluster has no free %s",
                "GPU" if self.options.device.startswith("cuda") else "cores",
            )

    def _replace(self, shard: Shard | None, error: Exception) -> None:
        """Start a worker in place of a dead one, and queue the shard of the dead worker again."""
        reason = _reason(error)
        if shard is None:
            self.failed_starts += 1
            _log.warning("a worker could not start: %s", reason)
            if self.failed_starts < _TRIES:
                self._start()
            elif not self.busy:
                raise UserError(
                    f"{self.failed_starts} workers could not start ({reason}); check that every "
                    "machine has the same version of seq2seq, and enough memory for the model"
                )
            return
        deaths = self.deaths[shard.name] = self.deaths.get(shard.name, 0) + 1
        if deaths < _TRIES:
            _log.warning(
                "a worker died (%s): the file %s is translated again from its start",
                reason,
                shard.name,
            )
            self.waiting.appendleft(shard)
        else:
            self._fail(
                shard,
                f"{deaths} workers died while they translated this file ({reason}); perhaps the "
                "memory is too small: use fewer --workers or a smaller --batch-size",
            )
        if self.waiting:
            self._start()

    def _record(self, shard: Shard, result: ShardResult) -> None:
        """Add the result of a shard to the summary, and log the messages about its lines."""
        if result.error:
            self._fail(shard, result.error)
            return
        if result.stale:
            _log.warning("%s: this file is translated again (%s)", shard.name, result.stale)
        for note in result.notes:
            _log.warning("%s: %s", shard.name, note)
        if result.more_notes:
            _log.warning(
                "%s: %d more warnings about lines of this file are in %s",
                shard.name,
                result.more_notes,
                shard.receipt,
            )
        if result.done_before:
            self.summary.finished += 1
        else:
            self.summary.translated += 1
            self.summary.lines += result.lines
        self.advance(1)

    def _fail(self, shard: Shard, reason: str) -> None:
        self.summary.failed[shard.name] = reason
        _log.warning("%s: this file was not translated: %s", shard.name, reason)
        self.advance(1)


def _reason(error: Exception) -> str:
    """Return a short description of why Ray lost a worker."""
    text = str(error).strip()
    _log.debug("%s", text)
    if kind := re.search(r"Worker exit type: (\w+)", text):
        return f"Ray exit type {kind[1]}"
    if "unavailable" in text:
        return "the connection to it was lost"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # The last line of a traceback names the error.
    return (lines[-1] if "Traceback" in text else lines[0])[:200] if lines else "unknown reason"
