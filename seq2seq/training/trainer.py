"""The training loop: the same for every task, stopped and resumed to the bit."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.profiler import record_function

from seq2seq import runtime
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.evaluation.plots import plot_curves
from seq2seq.models import folder as model_folder
from seq2seq.text import batching, preparation
from seq2seq.text.batching import Batch
from seq2seq.text.preparation import PreparedData
from seq2seq.training.checkpoint import Checkpoints, Progress
from seq2seq.training.display import MetricsLog, ProgressDisplay
from seq2seq.training.distributed import Ranks, local_rank, process_group
from seq2seq.training.epoch_batches import BatchPlanner, EpochBatches
from seq2seq.training.profile import UpdateProfiler
from seq2seq.training.run_folder import RunFolder, lock_folder
from seq2seq.training.schedule import count_plateau, fraction_done, learning_rate, stop_reason
from seq2seq.training.selection import ModelSelection
from seq2seq.training.stopping import SIGNALS, Interrupted, catch_signals
from seq2seq.training.train_step import TrainStep, UpdateResult

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """This rank's shares of the batches of an update, and the target tokens of all ranks'."""

    batches: list[Batch]
    tokens: int


def train_model(
    config: Config,
    folder: Path,
    *,
    resume: bool = False,
    profiled: bool = False,
    command: str = "",
) -> Path:
    """Train a model as `config` says in the run folder `folder`; gives the model folder.

    profiled: write down where the time of the first updates goes, in profile.txt; command: what
    the model card names as having made the model. Raises UserError for mistakes in
    the configuration or the corpus, and for a loss that is not finite; Stopped after a signal.
    """
    device = runtime.select_device(config.training.device)
    if device == torch.device("cuda"):
        if local_rank() >= torch.cuda.device_count():
            raise UserError(
                f"this machine has {torch.cuda.device_count()} GPUs: start no more processes on it"
            )
        device = torch.device("cuda", local_rank())
    dtype = runtime.select_dtype(config.training.precision, device)
    threads = runtime.set_threads(config.training.threads)
    with process_group(device) as ranks, ExitStack() as held:
        _require_one_config(config, ranks)
        with ranks.sequentially():
            if ranks.is_first:
                held.enter_context(lock_folder(folder))
            # The others find what the first has made, a run and its data.
            run = RunFolder(folder, config, resume=resume or not ranks.is_first)
            prepared = preparation.prepare_data(
                config, run.data, threads, in_use=run.has_checkpoint
            )
        ranks.require_equal(prepared.digest(), "training text or vocabulary")
        if not config.data.line_ends and not prepared.valid.lengths.any():
            raise UserError("data.valid: no text: there is nothing to judge a model by")
        if config.data.source and len(prepared.train) < ranks.world_size:
            raise UserError(
                f"{len(prepared.train)} training pairs cannot be shared out over "
                f"{ranks.world_size} ranks: start fewer of them"
            )
        runtime.keep_freed_memory()  # of training; what preparing took is given back
        trainer = Trainer(config, run, prepared, device, dtype, command, ranks)
        if ranks.is_first:  # nothing is left that the configuration could be refused for
            run.create(config)
        trainer.restore(threads)
        if profiled and ranks.is_first:
            trainer.profile = UpdateProfiler(run.profile, device)
        with (
            catch_signals() as caught,
            ProgressDisplay(quiet=not ranks.is_first) as display,
            runtime.explain_out_of_memory(
                "set a smaller training.batch_tokens, and training.accumulate"
            ),
        ):
            trainer.run_to_the_end(display, caught)
        if trainer.profile is not None:
            trainer.profile.end()
        log.info("the model is in %s", run.model)
    return run.model


def _require_one_config(config: Config, ranks: Ranks) -> None:
    """Raises UserError where the ranks differ, but for paths, which are each machine's own."""
    values = config.model_dump(mode="json")
    for name in ("train", "valid", "test"):
        values["data"].pop(name)
    ranks.require_equal(values, "configuration")


class Trainer:
    """One run: where it stands, and the loop over epochs and updates."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        prepared: PreparedData,
        device: torch.device,
        dtype: torch.dtype,
        command: str,
        ranks: Ranks,
    ) -> None:
        self.config, self.settings = config, config.training
        self.run, self.prepared, self.ranks = run, prepared, ranks
        torch.manual_seed(config.seed)
        model = model_folder.build_model(config, prepared.codec)
        self.learner = TrainStep(model, config.training, device, dtype, ranks)
        self.feeds = BatchPlanner(config, prepared, ranks)
        self.checkpoints = Checkpoints(run.checkpoints)
        self.selection = ModelSelection(config, run, prepared, device, dtype, command, ranks)
        self.progress = Progress()
        self.made: list[UpdateResult] = []  # updates that progress has not heard of yet
        self.patience = 1 if device.type == "cpu" else 10  # a GPU is not waited for every time
        self.profile: UpdateProfiler | None = None
        self.metrics: MetricsLog

    def restore(self, threads: int) -> None:
        """Go on from the last checkpoint, if there is one."""
        learner, ranks = self.learner, self.ranks
        found = None
        if ranks.is_first:
            found = self.checkpoints.load(learner.network, learner.ema, learner.optimizer)
        found = ranks.broadcast(found)
        if found is not None:
            learner.broadcast()
            carried = ranks.broadcast(self.checkpoints.carried() if ranks.is_first else None)
            if carried is not None:
                learner.hidden = [
                    tuple(ranks.shard(part).to(learner.device) for part in layer)
                    for layer in carried
                ]
            self.progress = found
            if found.feed not in ("", self.feeds.name):
                log.info("other batches than before: the epoch under way is begun anew")
                found.position, learner.hidden = 0, None
            if found.threads != threads:
                log.info("set to %d threads, as the run was begun", found.threads)
                runtime.set_threads(found.threads)
            if found.ranks != ranks.world_size:
                log.info(
                    "resumed with %d processes, where there were %d: from the same position, not "
                    "to the same bits",
                    ranks.world_size,
                    found.ranks,
                )
            log.info("resumed at update %d", found.update)
        else:
            self.progress.threads = threads
            log.info(
                "%s parameters; %s training %s; %s, %s, %d threads%s",
                f"{sum(p.numel() for p in learner.network.parameters()):,}",
                f"{len(self.prepared.train):,}",
                "pairs" if self.config.data.source else "lines",
                learner.device,
                str(learner.dtype).removeprefix("torch."),
                threads,
                f" in each of {ranks.world_size} processes" if ranks.world_size > 1 else "",
            )
        self.progress.ranks, self.progress.feed = ranks.world_size, self.feeds.name
        self.metrics = MetricsLog(self.run.metrics if ranks.is_first else None, self.progress.rows)

    def run_to_the_end(self, display: ProgressDisplay, caught: list[int]) -> None:
        """Update until a limit is reached, validating on the way. Raises Stopped."""
        if self.ranks.is_first and not stop_reason(self.settings, self.progress):
            self.run.record_start(self.learner.device)
        try:
            while not stop_reason(self.settings, self.progress):
                self.run_epoch(self.feeds(self.progress.epoch), display, caught)
            if self.progress.validated != self.progress.update:
                self.validate(display)
            self.save()
            log.info("finished: %s", stop_reason(self.settings, self.progress))
        finally:
            self.metrics.close()

    def run_epoch(self, feed: EpochBatches, display: ProgressDisplay, caught: list[int]) -> None:
        """From the position under way to the end of the epoch, or to a limit."""
        progress, every, plan = self.progress, self.config.validation.every, feed.plan
        coming = self.coming(feed)
        while progress.position < len(plan):
            self.update(coming, len(plan))
            due = progress.update % self.settings.log_every == 0
            judged = every and progress.update % every == 0
            ended = progress.position == len(plan) or self.settings.updates == progress.update
            if not (due or judged or ended or progress.update % self.patience == 0):
                continue
            stop = self.settle(caught)
            if due:
                self.log_window(display, len(plan))
            if judged:
                self.validate(display)
                self.save()
            if stop:
                self.save()
                raise Interrupted(stop)
            if stop_reason(self.settings, progress):
                return
        progress.epoch, progress.position = progress.epoch + 1, 0
        if not every and progress.validated != progress.update:
            self.validate(display)
            self.save()

    def coming(self, feed: EpochBatches) -> Iterator[_Work]:
        """The work of each update that is left in the epoch; for a GPU, ready before it is asked
        for. On a CPU, whose cores are all at work, another thread only gets in their way: small
        updates took a quarter longer."""
        size, plan = self.settings.accumulate, feed.plan
        groups = [plan[at : at + size] for at in range(self.progress.position, len(plan), size)]

        def made(group: list[np.ndarray]) -> _Work:
            batches = [feed.local_batch(rows, self.ranks) for rows in group]
            return _Work(batches, sum(map(feed.target_tokens, group)))

        return (
            batching.prefetch(made, groups)
            if self.learner.device.type == "cuda"
            else map(made, groups)
        )

    def update(self, coming: Iterator[_Work], plan: int) -> None:
        """One update; plan: the number of batches in the epoch."""
        progress, settings = self.progress, self.settings
        start = time.monotonic()
        with record_function("data"):
            work = next(coming)
        done = fraction_done(settings, progress, plan, clock=False)
        rate = learning_rate(settings, progress.update + 1, done, progress.cuts)
        # What is drawn depends on where the run stands alone: nothing has to be kept of it.
        torch.manual_seed(_seed(self.config.seed, progress.update, self.ranks.rank))
        made = self.learner.update(work.batches, work.tokens, rate, progress.update + 1)
        self.made.append(made)
        progress.update += 1
        progress.position += len(work.batches)
        progress.window_tokens += work.tokens
        progress.window_updates += 1
        progress.seconds += time.monotonic() - start
        if self.profile is not None:
            self.profile.updated()

    def settle(self, caught: list[int]) -> int:
        """Hear of the updates that were made since the last time, and of the other ranks; gives the
        signal that stops the run, on whichever rank it came, or 0.

        Raises UserError for an update that was not finite.
        """
        progress, ranks = self.progress, self.ranks
        start = time.monotonic()
        for made in self.made:
            made.require_finite()
            progress.window_norm += float(made.norm)
        nll = sum(float(made.nll) for made in self.made)
        self.made.clear()
        mean = (progress.seconds + time.monotonic() - start) / ranks.world_size
        nll, progress.seconds, *signals = ranks.all_reduce(
            nll, mean, *(float(number in caught) for number in SIGNALS)
        )
        progress.window_nll += nll
        return next((n for n, count in zip(SIGNALS, signals, strict=True) if count), 0)

    def validate(self, display: ProgressDisplay) -> None:
        """Judge the weights as they are, and let the learning rate hear of it."""
        self.learner.require_finite(self.progress.update)
        best = self.selection.validate(
            self.learner.validated_network, self.progress, self.metrics, display
        )
        count_plateau(self.settings, self.progress, best)

    def log_window(self, display: ProgressDisplay, batches: int) -> None:
        """Write and show the mean over the updates since the last row."""
        progress = self.progress
        loss = progress.window_nll / progress.window_tokens
        seconds = max(progress.seconds - progress.window_start, 1e-9)
        row: dict[str, Any] = {
            "kind": "train",
            "update": progress.update,
            "epoch": progress.epoch,
            "loss": loss,
            "perplexity": math.exp(min(loss, 700)),
            "gradient_norm": progress.window_norm / progress.window_updates,
            "learning_rate": self.learner.optimizer.param_groups[0]["lr"],
            "tokens_per_second": progress.window_tokens / seconds,
            "minutes": progress.seconds / 60,
        }
        self.metrics.append(row)
        done = fraction_done(self.settings, progress, batches, clock=True)
        display.show_training(row, done, progress.seconds * (1 - done) / done if done else None)
        progress.clear_window()

    def save(self) -> None:
        """Write a checkpoint, and the picture of the curves."""
        self.learner.require_finite(self.progress.update)
        self.progress.rows = self.metrics.rows
        learner = self.learner
        carried = learner.hidden
        if carried is not None:
            carried = [tuple(map(self.ranks.gather_rows, layer)) for layer in carried]
        if not self.ranks.is_first:
            return
        self.metrics.sync()
        self.checkpoints.save(
            self.progress, learner.network, learner.ema, learner.optimizer, carried
        )
        if self.metrics.rows:
            plot_curves(self.run.metrics, self.run.curves)


def _seed(*numbers: int) -> int:
    """A seed that has nothing to do with those of other numbers, the same on every machine."""
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
