"""The training loop: the same for every shape, stopped and resumed to the bit."""

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
from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.evaluation.plots import plot_curves
from seq2seq.models import folder as model_folder
from seq2seq.text import batching, preparation
from seq2seq.text.batching import Batch
from seq2seq.text.preparation import Prepared
from seq2seq.training.checkpoint import Checkpoints, Progress
from seq2seq.training.distributed import Ranks, joined, local_rank
from seq2seq.training.feed import Feed, Feeds
from seq2seq.training.learner import Learner, Update
from seq2seq.training.profile import Profile
from seq2seq.training.progress import Display, MetricsLog
from seq2seq.training.run import Run, alone
from seq2seq.training.schedule import fraction_done, learning_rate, meet_plateau, reached
from seq2seq.training.selection import Selection
from seq2seq.training.stopping import SIGNALS, Stopped, signals

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """This rank's shares of the batches of an update, and the target tokens of all ranks'."""

    batches: list[Batch]
    tokens: int


def train(
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
    device = runtime.device(config.training.device)
    if device == torch.device("cuda"):
        if local_rank() >= torch.cuda.device_count():
            raise UserError(
                f"this machine has {torch.cuda.device_count()} GPUs: start no more processes on it"
            )
        device = torch.device("cuda", local_rank())
    dtype = runtime.precision(config.training.precision, device)
    threads = runtime.threads(config.training.threads)
    with joined(device) as ranks, ExitStack() as held:
        _require_one_config(config, ranks)
        with ranks.one_after_the_other():
            if ranks.first:
                held.enter_context(alone(folder))
            # The others find what the first has made, a run and its data.
            run = Run(folder, config, resume=resume or not ranks.first)
            prepared = preparation.prepare(config, run.data, threads, in_use=run.begun)
        ranks.same(prepared.digest(), "training text or vocabulary")
        if not config.data.line_ends and not prepared.valid.lengths.any():
            raise UserError("data.valid: no text: there is nothing to judge a model by")
        if config.data.source and len(prepared.train) < ranks.count:
            raise UserError(
                f"{len(prepared.train)} training pairs cannot be shared out over {ranks.count} "
                "ranks: start fewer of them"
            )
        runtime.keep_memory()  # of training; what preparing took is given back
        trainer = Trainer(config, run, prepared, device, dtype, command, ranks)
        if ranks.first:  # nothing is left that the configuration could be refused for
            run.begin(config)
        trainer.restore(threads)
        if profiled and ranks.first:
            trainer.profile = Profile(run.profile, device)
        with (
            signals() as caught,
            Display(quiet=not ranks.first) as display,
            runtime.enough_memory("set a smaller training.batch_tokens, and training.accumulate"),
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
    ranks.same(values, "configuration")


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
        ranks: Ranks,
    ) -> None:
        self.config, self.settings = config, config.training
        self.run, self.prepared, self.ranks = run, prepared, ranks
        torch.manual_seed(config.seed)
        model = model_folder.build(config, prepared.tokenizers)
        self.learner = Learner(model, config.training, device, dtype, ranks)
        self.feeds = Feeds(config, prepared, ranks)
        self.checkpoints = Checkpoints(run.checkpoints)
        self.selection = Selection(config, run, prepared, device, dtype, command, ranks)
        self.progress = Progress()
        self.made: list[Update] = []  # updates that progress has not heard of yet
        self.patience = 1 if device.type == "cpu" else 10  # a GPU is not waited for every time
        self.profile: Profile | None = None
        self.metrics: MetricsLog

    def restore(self, threads: int) -> None:
        """Go on from the last checkpoint, if there is one."""
        learner, ranks = self.learner, self.ranks
        found = None
        if ranks.first:
            found = self.checkpoints.load(learner.network, learner.averaged, learner.optimizer)
        found = ranks.of_first(found)
        if found is not None:
            learner.take_over()
            carried = ranks.of_first(self.checkpoints.carried() if ranks.first else None)
            if carried is not None:
                learner.carried = [
                    tuple(ranks.share_of(part).to(learner.device) for part in layer)
                    for layer in carried
                ]
            self.progress = found
            if found.feed not in ("", self.feeds.name):
                log.info("other batches than before: the epoch under way is begun anew")
                found.position, learner.carried = 0, None
            if found.threads != threads:
                log.info("set to %d threads, as the run was begun", found.threads)
                runtime.threads(found.threads)
            if found.ranks != ranks.count:
                log.info(
                    "resumed with %d processes, where there were %d: from the same position, not "
                    "to the same bits",
                    ranks.count,
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
                f" in each of {ranks.count} processes" if ranks.count > 1 else "",
            )
        self.progress.ranks, self.progress.feed = ranks.count, self.feeds.name
        self.metrics = MetricsLog(self.run.metrics if ranks.first else None, self.progress.rows)

    def run_to_the_end(self, display: Display, caught: list[int]) -> None:
        """Update until a limit is reached, validating on the way. Raises Stopped."""
        if self.ranks.first and not reached(self.settings, self.progress):
            self.run.note_start(str(self.learner.device))
        try:
            while not reached(self.settings, self.progress):
                self.run_epoch(self.feeds(self.progress.epoch), display, caught)
            if self.progress.validated != self.progress.update:
                self.validate(display)
            self.save()
            log.info("finished: %s", reached(self.settings, self.progress))
        finally:
            self.metrics.close()

    def run_epoch(self, feed: Feed, display: Display, caught: list[int]) -> None:
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
                raise Stopped(stop)
            if reached(self.settings, progress):
                return
        progress.epoch, progress.position = progress.epoch + 1, 0
        if not every and progress.validated != progress.update:
            self.validate(display)
            self.save()

    def coming(self, feed: Feed) -> Iterator[_Work]:
        """The work of each update that is left in the epoch; for a GPU, ready before it is asked
        for. On a CPU, whose cores are all at work, another thread only gets in their way: small
        updates took a quarter longer."""
        size, plan = self.settings.accumulate, feed.plan
        groups = [plan[at : at + size] for at in range(self.progress.position, len(plan), size)]

        def made(group: list[np.ndarray]) -> _Work:
            batches = [feed.share(rows, self.ranks) for rows in group]
            return _Work(batches, sum(map(feed.tokens, group)))

        return (
            batching.ahead(made, groups)
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
        torch.manual_seed(_seed(self.config.seed, progress.update, self.ranks.number))
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
        mean = (progress.seconds + time.monotonic() - start) / ranks.count
        nll, progress.seconds, *signals = ranks.total(
            nll, mean, *(float(number in caught) for number in SIGNALS)
        )
        progress.window_nll += nll
        return next((n for n, count in zip(SIGNALS, signals, strict=True) if count), 0)

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
        done = fraction_done(self.settings, progress, batches, clock=True)
        display.trained(row, done, progress.seconds * (1 - done) / done if done else None)
        progress.clear_window()

    def save(self) -> None:
        """Write a checkpoint, and the picture of the curves."""
        self.learner.require_finite(self.progress.update)
        self.progress.rows = self.metrics.rows
        learner = self.learner
        carried = learner.carried
        if carried is not None:
            carried = [tuple(map(self.ranks.rows_of_all, layer)) for layer in carried]
        if not self.ranks.first:
            return
        self.metrics.sync()
        self.checkpoints.save(
            self.progress, learner.network, learner.averaged, learner.optimizer, carried
        )
        if self.metrics.rows:
            plot_curves(self.run.metrics, self.run.curves)


def _seed(*numbers: int) -> int:
    """A seed that has nothing to do with those of other numbers, the same on every machine."""
    digest = hashlib.blake2b(" ".join(map(str, numbers)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
