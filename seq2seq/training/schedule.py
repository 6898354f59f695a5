"""Compute the learning rate of each update, the progress of a run, and the end of a run."""

from __future__ import annotations

import math

from seq2seq.config.training_sections import TrainingConfig
from seq2seq.errors import counted
from seq2seq.training.state import Counters


def learning_rate(config: TrainingConfig, update: int, done: float, cuts: int) -> float:
    """Return the learning rate of update number `update`, counted from 1.

    done: the fraction of the run that is done, 0 to 1.
    cuts: how often the plateau schedule has reduced the learning rate so far.

    Every schedule begins with a linear warm-up from 0 to the rate `config.learning_rate`. After the
    warm-up, the schedules differ:
    - inverse-sqrt: the rate is multiplied by sqrt(warmup / update) (Vaswani et al. 2017)
    - cosine: the rate falls to zero at the end of the run (Loshchilov and Hutter 2017)
    - plateau: the rate is multiplied by `plateau_factor` at each plateau
    - constant: the rate stays the same
    """
    warmup = max(1, config.warmup)
    if update < warmup:
        return config.learning_rate * update / warmup
    if config.schedule == "inverse-sqrt":
        return config.learning_rate * math.sqrt(warmup / update)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.learning_rate * config.plateau_factor**cuts


def count_plateau(config: TrainingConfig, counters: Counters, gained: bool) -> None:
    """Count a validation for the plateau schedule. At a plateau, count a cut of the learning rate.

    A plateau is `plateau_patience` validations in a row without progress.

    gained: whether this validation shows progress (see `judging.judge`).
    """
    counters.plateau_waited = 0 if gained else counters.plateau_waited + 1
    if counters.plateau_waited >= config.plateau_patience:
        counters.cuts, counters.plateau_waited = counters.cuts + 1, 0


def follows_clock(config: TrainingConfig) -> bool:
    """Return whether the learning rate depends on the time that training takes.

    If so, no two runs are identical, and a resumed run differs from an uninterrupted run.
    """
    return config.schedule == "cosine" and not (config.epochs or config.updates)


def schedule_position(
    config: TrainingConfig, counters: Counters, batches: int, seconds: float
) -> float:
    """Return the fraction of the run that is done, 0 to 1, for the learning-rate schedule.

    The limits `epochs` and `updates` determine the fraction. If the schedule is cosine and
    `minutes` is the only limit, `minutes` determines the fraction.

    batches: number of batches in the current epoch.
    seconds: training time so far, the same on all ranks.
    """
    if not follows_clock(config):
        return fraction_done(config, counters, batches, clock=False)
    return min(1.0, seconds / 60 / (config.minutes or math.inf))


def fraction_done(
    config: TrainingConfig, counters: Counters, batches: int, *, clock: bool
) -> float:
    """Return the fraction of the run that is done, 0 to 1.

    If several limits are set, the limit that the run will reach first determines the fraction.

    batches: number of batches in the current epoch.
    clock: whether to include the limit `minutes`.
    """
    parts = [0.0]
    if config.epochs:
        parts.append((counters.epoch + counters.position / batches) / config.epochs)
    if config.updates:
        parts.append(counters.update / config.updates)
    if config.minutes and clock:
        parts.append(counters.seconds / 60 / config.minutes)
    return min(1.0, max(parts))


def stop_reason(config: TrainingConfig, counters: Counters) -> str:
    """Return the limit that ends the run now, as text; "" if the run has not reached a limit."""
    if config.epochs and counters.epoch >= config.epochs:
        return counted(config.epochs, "epoch")
    if config.updates and counters.update >= config.updates:
        return counted(config.updates, "update")
    if config.minutes and counters.seconds >= config.minutes * 60:
        return f"{config.minutes:g} minute{'s' * (config.minutes != 1)}"
    if config.patience and counters.waited >= config.patience:
        return f"no gain in {counted(counters.waited, 'validation')}"
    return ""
