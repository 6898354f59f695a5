"""Callbacks: objects that receive the log rows of a training run and may stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypedDict, runtime_checkable

from seq2seq.training.distributed import Ranks


class TrainingRow(TypedDict):
    """A training row of metrics.jsonl, with means over the updates since the last training row.

    update: number of updates done so far.
    epoch: number of the current epoch, counted from 0.
    loss: cross-entropy without label smoothing, in nats per target token.
    perplexity: exp(loss).
    gradient_norm: norm of the gradient before clipping.
    learning_rate: learning rate of the last update.
    tokens_per_second: target tokens processed per second.
    minutes: time spent on training and validation so far, including the time before a resume.
    """

    kind: Literal["train"]
    update: int
    epoch: int
    loss: float
    perplexity: float
    gradient_norm: float
    learning_rate: float
    tokens_per_second: float
    minutes: float


class ValidationScores(TypedDict):
    """The scores of one validation set. A score that was not computed is None.

    loss: cross-entropy without label smoothing, in nats per target token.
    perplexity: exp(loss).
    unknown: fraction of target tokens that are unknown (`<unk>`), from 0 to 1.
    known_perplexity: perplexity without the unknown tokens; None if there are no unknown tokens.
    bleu: BLEU from 0 to 100, if `validation.metric` is a score of translations.
    chrf: chrF from 0 to 100, if `validation.metric` is chrF.
    ter: TER in per cent, if `validation.metric` is TER. Lower is better.
    wer: word error rate, the percentage of lines with an error, if symbols are scored.
    ser: symbol error rate in per cent, if symbols are scored. Lower is better.
    exact_match: percentage of lines without any error, if the metric needs translations or is
        exact-match.
    accuracy: fraction of correct labels, from 0 to 1, if the model predicts labels and the metric
        needs them.
    """

    loss: float
    perplexity: float
    unknown: float
    known_perplexity: float | None
    bleu: float | None
    chrf: float | None
    ter: float | None
    wer: float | None
    ser: float | None
    exact_match: float | None
    accuracy: float | None


class ValidationRow(ValidationScores):
    """A validation row of metrics.jsonl, with the results of one validation.

    The row itself holds the scores of the validation set that decides which weights are best.

    update, epoch, minutes: as in `TrainingRow`.
    best: whether these weights are the best so far. The best weights are saved as the model.
    others: the scores of the other validation sets, by name. Empty if there is only one set.
    """

    kind: Literal["valid"]
    update: int
    epoch: int
    best: bool
    minutes: float
    others: dict[str, ValidationScores]


class StopTraining(Exception):  # noqa: N818 - not an error
    """An exception that a callback raises to stop the run. Its text says why the run stops."""


@runtime_checkable
class Callback(Protocol):
    """The base class of objects that follow a training run. Override the methods that you need.

    If a method returns True or raises `StopTraining`, the run stops at this update. The run is
    saved, and `resume=True` continues it. Any other exception ends the run at once, without saving
    the run again. If several processes train together, only rank 0 calls the callbacks.
    """

    def on_log(self, row: TrainingRow) -> bool | None:
        """Receive a training row of the log. Called every `training.log_every` updates."""
        return None

    def on_validation(self, row: ValidationRow) -> bool | None:
        """Receive the result of a validation. The model folder already holds the best weights."""
        return None


def require_callbacks(callbacks: Sequence[Callback]) -> None:
    """Raise TypeError unless `callbacks` is a list of callback objects."""
    if not isinstance(callbacks, Sequence):
        raise TypeError(f"callbacks must be a list of callbacks, not {type(callbacks).__name__}")
    for callback in callbacks:
        if not isinstance(callback, Callback) or isinstance(callback, type):
            raise TypeError(
                f"callbacks: {callback!r} is not an object with the methods on_log and "
                "on_validation; give an instance of a subclass of seq2seq.Callback"
            )


class CallbackList:
    """The callbacks of a run.

    stopped_by: the names of the callbacks that stopped the run, with their reasons; "" if no
        callback stopped the run.
    """

    def __init__(self, callbacks: Sequence[Callback], ranks: Ranks) -> None:
        """Store the callbacks.

        ranks: the processes of the run. Only rank 0 calls the callbacks. If a callback stops the
        run, all ranks stop.
        """
        self.callbacks, self.ranks = callbacks, ranks
        self.stopped_by = ""

    def call(self, row: TrainingRow | ValidationRow) -> None:
        """Call every callback with a row of the log. All ranks must call this method together."""
        reasons = []
        for callback in self.callbacks if self.ranks.is_first else ():
            name = f"callback {type(callback).__name__}"
            try:
                if _call(callback, row):
                    reasons.append(name)
            except StopTraining as stop:
                reasons.append(f"{name}: {stop}" if str(stop) else name)
        self.stopped_by = self.ranks.broadcast(", ".join(reasons)) or self.stopped_by


def _call(callback: Callback, row: TrainingRow | ValidationRow) -> bool | None:
    return callback.on_log(row) if row["kind"] == "train" else callback.on_validation(row)
