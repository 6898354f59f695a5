"""The training loop of all tasks. A run that is stopped and resumed gives the same result."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.profiler import record_function

from seq2seq import runtime
from seq2seq.errors import counted
from seq2seq.evaluation.plots import plot_curves
from seq2seq.models import folder as model_folder
from seq2seq.signals import SIGNALS
from seq2seq.text import batching
from seq2seq.text.batching import Batch
from seq2seq.training.callbacks import CallbackList
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.class_weights import class_weights
from seq2seq.training.context import TrainingContext
from seq2seq.training.display import MetricsLog, ProgressDisplay
from seq2seq.training.epoch_batches import BatchPlanner, EpochBatches
from seq2seq.training.memory_shortage import explain_batch
from seq2seq.training.profile import UpdateProfiler
from seq2seq.training.schedule import (
    count_plateau,
    follows_clock,
    learning_rate,
    schedule_position,
    stop_reason,
)
from seq2seq.training.selection import ModelSelection
from seq2seq.training.state import TrainState
from seq2seq.training.stopping import Interrupted
from seq2seq.training.train_step import TrainStep, UpdateResult

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """The batches of one update.

    batches: this rank's share of the batches.
    tokens: number of target tokens in the shares of all ranks.
    """

    batches: list[Batch]
    tokens: int


class Trainer:
    """The state of one run, and the loop over its epochs and updates."""

    def __init__(self, context: TrainingContext) -> None:
        """Build the network with new random weights. Raise UserError if the text is too short."""
        config, ranks, device = context.config, context.ranks, context.device
        self.context, self.config, self.ranks = context, config, ranks
        self.settings = config.training
        torch.manual_seed(config.seed)
        model = model_folder.build_model(config, context.prepared.codec)
        if context.start is not None and context.start.model is not None:
            model.network.load_state_dict(context.start.model.network.state_dict())
        weights = class_weights(config.training.class_weights, context.prepared)
        self.step = TrainStep(model, config.training, device, context.dtype, ranks, weights)
        self.state = TrainState(self.step.network, self.step.ema, self.step.optimizer)
        self.planner = BatchPlanner(config, context.prepared, ranks)
        self.checkpoints = Checkpoints(context.run.checkpoints)
        self.selection = ModelSelection(context)
        self.callbacks = CallbackList(context.callbacks, ranks)
        self.pending: list[UpdateResult] = []  # results since the last `synchronize`
        self.clock = 0.0  # seconds of training at the last `synchronize`, for `follows_clock`
        # Updates between two calls of `synchronize`, which waits for the GPU and so costs time.
        self.sync_every = 1 if device.type == "cpu" else 10
        self.profiler: UpdateProfiler | None = None
        self.metrics: MetricsLog

    def restore(self, threads: int) -> None:
        """Load the last checkpoint, if there is one, and open the metrics log.

        threads: number of threads of each process. A resumed run keeps the number that it started
            with.
        """
        ranks = self.ranks
        if ranks.broadcast(ranks.is_first and self.checkpoints.load(self.state)):
            self.state.broadcast(ranks)
            self._adapt_to_changes(threads)
            self.step.shard_hidden(self.state.hidden)
            _log.info("resumed at update %d", self.state.counters.update)
        else:
            self.state.counters.threads = threads
            _log.info(
                "%s; %s; %s, %s, %s%s",
                counted(sum(p.numel() for p in self.step.network.parameters()), "parameter"),
                counted(
                    len(self.context.prepared.train),
                    "training pair" if self.config.data.source else "training line",
                ),
                self.step.device,
                str(self.step.dtype).removeprefix("torch."),
                counted(threads, "thread"),
                f" in each of {ranks.world_size} processes" if ranks.world_size > 1 else "",
            )
            if self.context.start is not None:
                _log.info("starting from the weights of %s", self.context.start.origin.name)
        if follows_clock(self.settings):
            _log.info(
                "the learning rate depends on the elapsed time, so two runs never give exactly "
                "the same weights"
            )
        counters = self.state.counters
        counters.ranks, counters.plan_name = ranks.world_size, self.planner.plan_name
        path = self.context.run.metrics if ranks.is_first else None
        self.metrics = MetricsLog(path, counters.rows)

    def _adapt_to_changes(self, threads: int) -> None:
        """Adapt the run if its batches, threads or ranks have changed since the checkpoint.

        threads: number of threads that this process would use in a new run.
        """
        counters = self.state.counters
        if counters.plan_name not in ("", self.planner.plan_name):
            _log.info(
                "the batches are planned in another way than in the checkpoint, so the "
                "current epoch starts again"
            )
            counters.position, self.state.hidden = 0, None
        if counters.threads != threads:
            _log.info("using %s, as when the run was started", counted(counters.threads, "thread"))
            runtime.set_threads(counters.threads)
        if counters.ranks != self.ranks.world_size:
            _log.info(
                "resumed with %s instead of %d; the run continues at the same position, "
                "but its results will differ slightly from those of an uninterrupted run",
                f"{self.ranks.world_size} process{'es' * (self.ranks.world_size > 1)}",
                counters.ranks,
            )

    def run(self, display: ProgressDisplay, caught: list[int]) -> None:
        """Train until a limit is reached, with validations and checkpoints in between.

        caught: the numbers of the signals that have arrived so far. Raise Interrupted after a
        signal, and UserError if a loss or gradient is NaN or infinite.
        """
        settings, counters, every = self.settings, self.state.counters, self.config.validation.every
        if self.ranks.is_first and not self.end_reason():
            self.context.run.record_start(self.step.device)
        try:
            while not self.end_reason():
                epoch = self.planner(counters.epoch)
                upcoming, batches = self.upcoming_work(epoch), len(epoch.plan)
                while counters.position < batches:
                    self.update(upcoming, batches)
                    display.show_position(settings, counters, batches)
                    log_due = counters.update % settings.log_every == 0
                    validation_due = every and counters.update % every == 0
                    ended = counters.position == batches or settings.updates == counters.update
                    sync_due = counters.update % self.sync_every == 0
                    if not (log_due or validation_due or ended or sync_due):
                        continue
                    signal = self.synchronize(caught)
                    if log_due:
                        self.log_window(display, batches)
                    if validation_due:
                        self.validate(display)
                        self.save()
                    if signal:
                        self.save()
                        raise Interrupted(signal)
                    if self.end_reason():
                        break
                else:
                    counters.epoch, counters.position = counters.epoch + 1, 0
                    if not every and counters.validated != counters.update:
                        self.validate(display)
                        self.save()
                del epoch, upcoming  # to free memory before the next epoch
            # A run that a callback stopped is saved unvalidated, so it resumes as if never stopped.
            if counters.validated != counters.update and not (
                self.callbacks.stopped_by and counters.best is not None
            ):
                self.validate(display)
            self.save()
            display.show_end(counters)
            _log.info("finished: %s", self.end_reason())
        finally:
            self.metrics.close()

    def end_reason(self) -> str:
        """Return the limit or callback that ends the run now, or "" if the run continues."""
        return self.callbacks.stopped_by or stop_reason(self.settings, self.state.counters)

    def upcoming_work(self, epoch: EpochBatches) -> Iterator[_Work]:
        """Yield the batches of each update that is left in the epoch.

        On a GPU, a thread prepares the next batches during an update. On a CPU, such a thread would
        take a core from the update, which made small updates 25 % slower.
        """
        size, plan = self.settings.accumulate, epoch.plan
        start = self.state.counters.position
        groups = [plan[first : first + size] for first in range(start, len(plan), size)]

        def collate(group: list[np.ndarray]) -> _Work:
            batches = [epoch.local_batch(rows, self.ranks) for rows in group]
            return _Work(batches, sum(map(epoch.target_tokens, group)))

        if self.step.device.type == "cuda":
            return batching.prefetch(collate, groups)
        return map(collate, groups)

    def update(self, upcoming: Iterator[_Work], batches: int) -> None:
        """Do one update and count it.

        batches: number of batches in the epoch.
        """
        counters, settings = self.state.counters, self.settings
        start = time.monotonic()
        with record_function("data"):
            work = next(upcoming)
        if not self.pending:  # just synchronized, so `seconds` is equal on all ranks
            self.clock = counters.seconds
        done = schedule_position(settings, counters, batches, self.clock)
        rate = learning_rate(settings, counters.update + 1, done, counters.cuts)
        # The update's number seeds all random numbers, so no generator state needs to be saved.
        torch.manual_seed(_seed(self.config.seed, counters.update, self.ranks.rank))
        with explain_batch(work.batches, counters.update + 1, self.settings.batch_tokens):
            result = self.step.update(work.batches, work.tokens, rate, counters.update + 1)
        self.pending.append(result)
        counters.update += 1
        counters.position += len(work.batches)
        counters.window_tokens += work.tokens
        counters.window_updates += 1
        counters.seconds += time.monotonic() - start
        if self.profiler is not None:
            self.profiler.updated()

    def synchronize(self, caught: list[int]) -> int:
        """Sum the results of the updates since the last call over all ranks.

        Return the number of a signal that any rank has received and that stops the run, or 0 if
        there is no signal. Raise UserError if a loss or gradient is NaN or infinite.
        """
        counters, ranks = self.state.counters, self.ranks
        start = time.monotonic()
        for result in self.pending:
            result.require_finite()
            counters.window_norm += float(result.norm)
        nll = sum(float(result.nll) for result in self.pending)
        self.pending.clear()
        mean = (counters.seconds + time.monotonic() - start) / ranks.world_size
        received = [float(number in caught) for number in SIGNALS]
        nll, counters.seconds, *signals = ranks.all_reduce(nll, mean, *received)
        counters.window_nll += nll
        return next((n for n, count in zip(SIGNALS, signals, strict=True) if count), 0)

    def validate(self, display: ProgressDisplay) -> None:
        """Validate the weights, and pass the result to the plateau schedule and the callbacks."""
        counters = self.state.counters
        self.step.require_finite(counters.update)
        row = self.selection.validate(self.step.validated_network, counters, self.metrics, display)
        count_plateau(self.settings, counters, counters.waited == 0)
        self.callbacks.call(row)

    def log_window(self, display: ProgressDisplay, batches: int) -> None:
        """Log and show the means over the updates since the last training row.

        batches: number of batches in the epoch.
        """
        counters = self.state.counters
        row = counters.window_row(self.step.optimizer.param_groups[0]["lr"])
        self.metrics.append(row)
        display.show_training(row, self.settings, counters, batches)
        counters.clear_window()
        self.callbacks.call(row)

    def save(self) -> None:
        """Write a checkpoint and redraw the training curves."""
        self.step.require_finite(self.state.counters.update)
        self.state.counters.rows = self.metrics.rows
        self.state.hidden = self.step.gather_hidden()
        if not self.ranks.is_first:
            return
        self.metrics.sync()
        self.checkpoints.save(self.state)
        if self.metrics.rows:
            plot_curves(self.context.run.metrics, self.context.run.curves)


def _seed(*numbers: int) -> int:
    """Derive a seed from some numbers. The result is the same on every machine.

    Different numbers give seeds that are independent of each other.
    """
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
