"""The training loop: the same for every shape, stopped and resumed to the bit."""

from __future__ import annotations

import hashlib
import logging
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch

from seq2seq import runtime
from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.evaluation.plots import plot_curves
from seq2seq.models import folder as model_folder
from seq2seq.text import batching, preparation
from seq2seq.text.dataset import Dataset
from seq2seq.text.preparation import Prepared
from seq2seq.training.checkpoint import Checkpoints, Progress
from seq2seq.training.learner import Learner
from seq2seq.training.progress import Display, MetricsLog
from seq2seq.training.run import Run
from seq2seq.training.schedule import behind, learning_rate, meet_plateau, reached
from seq2seq.training.selection import Selection

log = logging.getLogger(__name__)


class Stopped(Exception):  # noqa: N818 - it is no error
    """A signal asked the run to stop; it has been saved. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}; the run is saved: go on with --resume")
        self.number = number


def train(config: Config, folder: Path, *, resume: bool = False, command: str = "") -> Path:
    """Train a model as `config` says in the run folder `folder`; gives the model folder.

    command: what the model card names as having made the model. Raises UserError for mistakes in
    the configuration or the corpus, and for a loss that is not finite; Stopped after a signal.
    """
    runtime.keep_memory()
    device = runtime.device(config.training.device)
    dtype = runtime.precision(config.training.precision, device)
    threads = runtime.threads(config.training.threads)
    run = Run(folder, config, resume=resume)
    prepared = preparation.prepare(config, run.data, threads, in_use=run.begun)
    if not len(prepared.valid):
        raise UserError("the validation set has no pairs: there is nothing to judge a model by")
    run.begin(config)
    trainer = Trainer(config, run, prepared, device, dtype, command)
    trainer.restore(threads)
    with Display() as display, _signals() as caught:
        trainer.run_to_the_end(display, caught)
    return run.model


class Trainer:
    """One run: where it stands, and the loop over epochs and updates."""

    def __init__(
        self,
        config: Config,
        run: Run,
        prepared: Prepared,
        device: torch.device,
        dtype: torch.dtype,
        command: str,
    ) -> None:
        self.config, self.settings = config, config.training
        self.run, self.prepared = run, prepared
        torch.manual_seed(config.seed)
        model = model_folder.build(config, prepared.tokenizers)
        self.learner = Learner(model, config.training, device, dtype)
        self.checkpoints = Checkpoints(run.checkpoints)
        self.selection = Selection(config, run, prepared, self.checkpoints, device, dtype, command)
        self.progress = Progress()
        self.metrics: MetricsLog

    def restore(self, threads: int) -> None:
        """Go on from the last checkpoint, if there is one."""
        learner = self.learner
        found = self.checkpoints.load(learner.network, learner.averaged, learner.optimizer)
        if found is not None:
            self.progress = found
            if found.threads != threads:
                log.info("set to %d threads, as the run was begun", found.threads)
                runtime.threads(found.threads)
            log.info("resumed at update %d", found.update)
        else:
            self.progress.threads = threads
            log.info(
                "%s parameters; %s training pairs; %s, %s, %d threads",
                f"{sum(p.numel() for p in learner.network.parameters()):,}",
                f"{len(self.prepared.train):,}",
                learner.device,
                str(learner.dtype).removeprefix("torch."),
                threads,
            )
        self.metrics = MetricsLog(self.run.metrics, self.progress.rows)

    def run_to_the_end(self, display: Display, caught: list[int]) -> None:
        """Update until a limit is reached, validating on the way. Raises Stopped."""
        try:
            while not reached(self.settings, self.progress):
                dataset, plan = self.epoch_plan()
                self.run_epoch(dataset, plan, display, caught)
            if self.progress.validated != self.progress.update:
                self.validate(display)
            self.save()
            self.selection.average(self.learner.network, self.progress)
            log.info("finished: %s", reached(self.settings, self.progress))
        finally:
            self.metrics.close()

    def epoch_plan(self) -> tuple[Dataset, list[np.ndarray]]:
        """The pairs of the epoch under way and its batches, made from (seed, epoch) alone."""
        strength, seed = self.config.tokenizer.sampling, self.config.seed
        dataset, epoch = self.prepared.train, self.progress.epoch
        if strength:
            dataset = preparation.sampled(self.prepared, strength, seed, epoch)
        budget = self.settings.batch_tokens
        return dataset, batching.plan(dataset.lengths, budget=budget, seed=seed, epoch=epoch)

    def run_epoch(
        self, dataset: Dataset, plan: list[np.ndarray], display: Display, caught: list[int]
    ) -> None:
        """From the position under way to the end of the epoch, or to a limit."""
        progress, every = self.progress, self.config.validation.every
        while progress.position < len(plan):
            self.update(dataset, plan)
            if progress.update % self.settings.log_every == 0:
                self.log_window(display, len(plan))
            if every and progress.update % every == 0:
                self.validate(display)
                self.save()
            if caught:
                self.save()
                raise Stopped(caught[0])
            if reached(self.settings, progress):
                return
        progress.epoch, progress.position = progress.epoch + 1, 0
        if not every and progress.validated != progress.update:
            self.validate(display)
        self.save()

    def update(self, dataset: Dataset, plan: list[np.ndarray]) -> None:
        """One update from the next `accumulate` batches."""
        progress, settings = self.progress, self.settings
        start = time.monotonic()
        end = min(progress.position + settings.accumulate, len(plan))
        done = behind(settings, progress, len(plan), clock=False)
        rate = learning_rate(settings, progress.update + 1, done, progress.cuts)
        batches = [
            batching.collate(dataset, rows, self.prepared.tokenizers)
            for rows in plan[progress.position : end]
        ]
        # What is drawn depends on where the run stands alone: nothing has to be kept of it.
        torch.manual_seed(_seed(self.config.seed, progress.update))
        made = self.learner.update(batches, rate, progress.update + 1)
        progress.update += 1
        progress.position = end
        progress.window_nll += made.nll
        progress.window_tokens += made.tokens
        progress.window_norm += made.norm
        progress.window_updates += 1
        progress.seconds += time.monotonic() - start

    def validate(self, display: Display) -> None:
        """Judge the weights as they are, and let the learning rate hear of it."""
        self.learner.require_finite(self.progress.update)
        best = self.selection.round(self.learner.judged, self.progress, self.metrics, display)
        meet_plateau(self.settings, self.progress, best)

    def log_window(self, display: Display, batches: int) -> None:
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
        done = behind(self.settings, progress, batches, clock=True)
        display.trained(row, done, progress.seconds * (1 - done) / done if done else None)
        progress.clear_window()

    def save(self) -> None:
        """Write a checkpoint, and the picture of the curves."""
        self.learner.require_finite(self.progress.update)
        self.metrics.sync()
        self.progress.rows = self.metrics.rows
        learner = self.learner
        self.checkpoints.save(self.progress, learner.network, learner.averaged, learner.optimizer)
        self.checkpoints.tidy(self.progress)
        if self.metrics.rows:
            plot_curves(self.run.metrics, self.run.curves)


def _seed(*numbers: int) -> int:
    """A seed that has nothing to do with those of other numbers, the same on every machine."""
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collect Ctrl-C and SIGTERM; a second one acts at once, as it would have without us."""
    caught: list[int] = []
    old: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        log.warning("stopping after this update; once more to stop at once, unsaved")
        signal.signal(number, old[number])

    for wanted in (signal.SIGINT, signal.SIGTERM):
        old[wanted] = signal.signal(wanted, note)
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
