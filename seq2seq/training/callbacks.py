"""What a program hears of a run while it trains, and how it can stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypedDict, runtime_checkable

from seq2seq.training.distributed import Ranks


class TrainingRow(TypedDict):
    """Means over the updates since the last such row, as in metrics.jsonl.

    update: updates done; epoch: from 0. loss: nats a target token; perplexity: exp of it.
    gradient_norm: before clipping. learning_rate: of the last update. tokens_per_second: target
    tokens. minutes: of training and validation so far, those of the run before it was resumed too.
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


class ValidationRow(TypedDict):
    """One validation, as in metrics.jsonl.

    update, epoch, minutes: as in `TrainingRow`. loss: nats a target token, without label smoothing;
    perplexity: exp of it. bleu: 0 to 100; accuracy: 0 to 1; None where `validation.metric` does not
    need it. best: whether these weights are the best so far, and so the model.
    """

    kind: Literal["valid"]
    update: int
    epoch: int
    loss: float
    perplexity: float
    bleu: float | None
    accuracy: float | None
    best: bool
    minutes: float


class StopTraining(Exception):  # noqa: N818 - it is no error
    """Raise it in a callback to stop the run: the text says why."""


@runtime_checkable
class Callback(Protocol):
    """Hears of a run. Subclass it and override what you need.

    A method that returns True, or raises `StopTraining`, stops the run at this update: the run is
    saved, and `resume=True` goes on with it. Any other exception ends the run where it is, and only
    what was saved before is kept. On several processes, the first one calls.
    """

    def on_log(self, row: TrainingRow) -> bool | None:
        """Called with each row of the training log, every `training.log_every` updates."""
        return None

    def on_validation(self, row: ValidationRow) -> bool | None:
        """Called after each validation; the model folder holds the best weights already."""
        return None


def require_callbacks(callbacks: Sequence[Callback]) -> None:
    """Raises TypeError for what is not a list of callbacks."""
    if not isinstance(callbacks, Sequence):
        raise TypeError(f"callbacks is {type(callbacks).__name__}: give a list of callbacks")
    for callback in callbacks:
        if not isinstance(callback, Callback) or isinstance(callback, type):
            raise TypeError(
                f"callbacks: {callback!r} has no methods on_log and on_validation: give an object "
                "of a subclass of seq2seq.Callback"
            )


class CallbackList:
    """The callbacks of a run. stopped_by: which of them stop it, and why; "" where none does."""

    def __init__(self, callbacks: Sequence[Callback], ranks: Ranks) -> None:
        """ranks: all of them stop where a callback, which the first one calls, says so."""
        self.callbacks, self.ranks = callbacks, ranks
        self.stopped_by = ""

    def call(self, row: TrainingRow | ValidationRow) -> None:
        """Call every callback with a row; all ranks must do this together."""
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
