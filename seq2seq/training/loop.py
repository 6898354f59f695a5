"""The training loop: the same for every shape, stopped and resumed to the bit."""

from __future__ import annotations

import copy
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
from torch import nn

from seq2seq import runtime
from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.evaluation.plots import plot_curves
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.text import batching, preparation
from seq2seq.text.dataset import Dataset
from seq2seq.text.preparation import Prepared
from seq2seq.training.card import model_card
from seq2seq.training.checkpoint import Checkpoints, Progress
from seq2seq.training.objective import cross_entropy, with_word_dropout
from seq2seq.training.progress import Display, MetricsLog
from seq2seq.training.run import Run
from seq2seq.training.schedule import Schedule
from seq2seq.training.validation import Validation, validate

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
    prepared = preparation.prepare(config, run.data, threads)
    if not len(prepared.valid):
        raise UserError("the validation set has no pairs: there is nothing to judge a model by")
    run.begin(config)
    trainer = Trainer(config, run, prepared, device, dtype, command)
    trainer.restore(threads)
    with Display() as display, _signals() as caught:
        trainer.run_to_the_end(display, caught)
    return run.model


class Trainer:
    """What one run holds between two updates."""

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
        self.device, self.dtype, self.command = device, dtype, command
        torch.manual_seed(config.seed)
        self.model = model_folder.build(config, prepared.tokenizers)
        self.network = self.model.network.to(device)
        # The exponential average is a network of its own: what is validated and kept.
        self.averaged = copy.deepcopy(self.network) if self.settings.average_decay else None
        self.optimizer = torch.optim.AdamW(
            _groups(self.network, self.settings.weight_decay),
            lr=0.0,
            betas=self.settings.betas,
            fused=True,
        )
        self.schedule = Schedule(self.settings)
        self.checkpoints = Checkpoints(run.checkpoints)
        self.progress = Progress()
        self.metrics: MetricsLog

    def restore(self, threads: int) -> None:
        """Go on from the last checkpoint, if there is one."""
        found = self.checkpoints.load(self.network, self.averaged, self.optimizer)
        if found is not None:
            self.progress = found
            self.schedule.cuts, self.schedule.waited = found.cuts, found.plateau_waited
            if found.threads != threads:
                log.info("set to %d threads, as the run was begun", found.threads)
                runtime.threads(found.threads)
            log.info("resumed at update %d", found.update)
        else:
            self.progress.threads = threads
            parameters = sum(p.numel() for p in self.network.parameters())
            log.info(
                "%s parameters; %s training pairs; %s, %s, %d threads",
                f"{parameters:,}",
                f"{len(self.prepared.train):,}",
                self.device,
                str(self.dtype).removeprefix("torch."),
                threads,
            )
        self.metrics = MetricsLog(self.run.metrics, self.progress.rows)

    # The loop.

    def run_to_the_end(self, display: Display, caught: list[int]) -> None:
        """Update until a limit is reached, validating on the way."""
        try:
            while not self.reached():
                dataset, plan = self.epoch_plan()
                self.run_epoch(dataset, plan, display, caught)
            if self.progress.validated != self.progress.update:
                self.validation_round(display)
            self.save()
            self.average_kept(display)
            log.info("finished: %s", self.reached())
        finally:
            self.metrics.close()

    def epoch_plan(self) -> tuple[Dataset, list[np.ndarray]]:
        """The pairs of the epoch under way and its batches, made from (seed, epoch) alone."""
        strength = self.config.tokenizer.sampling
        epoch, seed = self.progress.epoch, self.config.seed
        dataset = self.prepared.train
        if strength:
            dataset = preparation.sampled(self.prepared, strength, seed, epoch)
        plan = batching.plan(
            dataset.lengths, budget=self.settings.batch_tokens, seed=seed, epoch=epoch
        )
        return dataset, plan

    def run_epoch(
        self, dataset: Dataset, plan: list[np.ndarray], display: Display, caught: list[int]
    ) -> None:
        """From the position under way to the end of the epoch, or to a limit."""
        progress, every = self.progress, self.config.validation.every
        while progress.position < len(plan):
            start = time.monotonic()
            end = progress.position + self.settings.accumulate
            behind = self.behind(progress.epoch + progress.position / len(plan))
            self.update(dataset, plan[progress.position : end], behind)
            progress.position = min(end, len(plan))
            progress.seconds += time.monotonic() - start
            if progress.update % self.settings.log_every == 0:
                self.log_window(display, progress.epoch + progress.position / len(plan))
            if every and progress.update % every == 0:
                self.validation_round(display)
                self.save()
            if caught:
                self.save()
                raise Stopped(caught[0])
            if self.reached():
                return
        progress.epoch, progress.position = progress.epoch + 1, 0
        if not every:
            self.validation_round(display)
        self.save()

    def update(self, dataset: Dataset, group: list[np.ndarray], behind: float) -> None:
        """One update from one batch, or from several whose gradients are added up."""
        settings, progress = self.settings, self.progress
        self.network.train()
        batches = [
            batching.collate(dataset, rows, self.prepared.tokenizers).to(self.device)
            for rows in group
        ]
        target = self.prepared.tokenizers.target
        tokens = sum(int((batch.outputs != target.pad).sum()) for batch in batches)
        self.optimizer.zero_grad(set_to_none=True)
        nll = 0.0
        for batch in batches:
            unk = (self.prepared.tokenizers.source.unk, target.unk)
            noisy = with_word_dropout(batch, settings.word_dropout, target.eos, unk)
            with torch.autocast(
                self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16
            ):
                loss = cross_entropy(
                    self.network, noisy, pad=target.pad, smoothing=settings.label_smoothing
                )
            (loss.total / tokens).backward()  # type: ignore[no-untyped-call]
            nll += float(loss.nll)
        norm = float(nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip or math.inf))
        if not (math.isfinite(nll) and math.isfinite(norm)):
            self.refuse_not_finite(nll, norm, batches)
        progress.update += 1
        rate = self.schedule.rate(progress.update, behind)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        self.optimizer.step()
        self.follow_average()
        progress.window_nll += nll
        progress.window_tokens += tokens
        progress.window_norm += norm
        progress.window_updates += 1

    def follow_average(self) -> None:
        """Move the exponential average towards the weights (Polyak and Juditsky 1992); less of
        the past early on, when the past is worth little."""
        if self.averaged is None:
            return
        update = self.progress.update
        decay = min(self.settings.average_decay, (1 + update) / (10 + update))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.averaged.parameters()), list(self.network.parameters()), 1 - decay
            )

    def refuse_not_finite(self, nll: float, norm: float, batches: list[batching.Batch]) -> None:
        rows = np.concatenate([batch.rows for batch in batches]) + 1
        named = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
        raise UserError(
            f"update {self.progress.update + 1}: the loss is {nll:g} and the gradient's norm "
            f"{norm:g}, on the batch of training pairs {named}; the weights were not changed: "
            "resume from the last checkpoint with a smaller training.learning_rate"
        )

    # Limits.

    def behind(self, epochs: float) -> float:
        """The part of the run that is behind, from 0 to 1, by the limit that is nearest."""
        settings, progress = self.settings, self.progress
        parts = [0.0]
        if settings.epochs:
            parts.append(epochs / settings.epochs)
        if settings.updates:
            parts.append(progress.update / settings.updates)
        if settings.minutes and settings.schedule != "cosine":  # a schedule follows no clock
            parts.append(progress.seconds / 60 / settings.minutes)
        return min(1.0, max(parts))

    def reached(self) -> str:
        """Which limit ends the run here; empty where none does."""
        settings, progress = self.settings, self.progress
        if settings.epochs and progress.epoch >= settings.epochs:
            return f"{settings.epochs} epochs"
        if settings.updates and progress.update >= settings.updates:
            return f"{settings.updates} updates"
        if settings.minutes and progress.seconds >= settings.minutes * 60:
            return f"{settings.minutes:g} minutes"
        if settings.patience and progress.waited >= settings.patience:
            return f"no gain in {progress.waited} validations"
        return ""

    # Validation, the log, what is kept.

    def validation_round(self, display: Display) -> None:
        """Judge the weights (their average, where there is one) and keep the best."""
        start, progress = time.monotonic(), self.progress
        network = self.averaged if self.averaged is not None else self.network
        model = Model(self.config, self.model.tokenizers, network)
        found = validate(model, self.prepared.valid, self.device, self.dtype)
        spent = time.monotonic() - start
        progress.seconds += spent
        progress.window_start += spent  # tokens a second are those of training
        self.judge(found, model, display)

    def judge(self, found: Validation, model: Model, display: Display) -> None:
        progress = self.progress
        score = found.score(self.config.validation.metric)
        best = progress.best is None or score > progress.best
        progress.validated = progress.update
        progress.waited = 0 if best else progress.waited + 1
        self.schedule.validated(best)
        progress.cuts, progress.plateau_waited = self.schedule.cuts, self.schedule.waited
        row = {
            "kind": "valid",
            "update": progress.update,
            "epoch": progress.epoch,
            "loss": found.loss,
            "perplexity": math.exp(min(found.loss, 700)),
            "bleu": found.bleu,
            "best": best,
            "minutes": progress.seconds / 60,
        }
        self.metrics.append(row)
        display.validated(row, self.config.validation.metric)
        if self.settings.average_checkpoints > 1:
            self.checkpoints.keep(progress, score, model.network, self.settings.average_checkpoints)
        if best:
            progress.best, progress.best_update = score, progress.update
            self.write_model(model, row)

    def write_model(self, model: Model, row: dict[str, Any]) -> None:
        model_folder.save(self.run.model, model, model_card(model, row, self.command))

    def average_kept(self, display: Display) -> None:
        """Average the best validated weights; the model, if it is better than the best of them."""
        if self.settings.average_checkpoints < 2 or len(self.progress.kept) < 2:
            return
        network = copy.deepcopy(self.network)
        self.checkpoints.average(self.progress, network)
        model = Model(self.config, self.model.tokenizers, network)
        found = validate(model, self.prepared.valid, self.device, self.dtype)
        score = found.score(self.config.validation.metric)
        assert self.progress.best is not None
        better = score > self.progress.best
        updates = sorted(update for _, update in self.progress.kept)
        log.info(
            "average of the weights at updates %s: loss %.3f, BLEU %.2f (%s)",
            ", ".join(map(str, updates)),
            found.loss,
            found.bleu if found.bleu is not None else math.nan,
            "kept" if better else f"the best alone stays, at {self.progress.best:.2f}",
        )
        if better:
            row = {"bleu": found.bleu, "loss": found.loss, "update": updates[-1]}
            self.write_model(model, {**row, "averaged": updates})

    def log_window(self, display: Display, epochs: float) -> None:
        """Write and show the mean of the updates since the last row."""
        progress = self.progress
        loss = progress.window_nll / progress.window_tokens
        seconds = max(progress.seconds - progress.window_start, 1e-9)
        row = {
            "kind": "train",
            "update": progress.update,
            "epoch": progress.epoch,
            "loss": loss,
            "perplexity": math.exp(min(loss, 700)),
            "gradient_norm": progress.window_norm / progress.window_updates,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "tokens_per_second": progress.window_tokens / seconds,
            "minutes": progress.seconds / 60,
        }
        self.metrics.append(row)
        behind = self.behind(epochs)
        left = progress.seconds * (1 - behind) / behind if behind > 0 else None
        display.trained(row, behind, left)
        progress.clear_window()

    def save(self) -> None:
        """Write a checkpoint, and the picture of the curves."""
        self.metrics.sync()
        self.progress.rows = self.metrics.rows
        self.checkpoints.save(self.progress, self.network, self.averaged, self.optimizer)
        self.checkpoints.tidy(self.progress)
        if self.metrics.rows:
            plot_curves(self.run.metrics, self.run.curves)


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for biases."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]


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
