"""Decide which weights are the best, and whether a run still makes progress.

A score such as BLEU says nothing while it is near its worst value: a model that has learned half of
what it needs may still have BLEU 0. The validation loss decides as long as this is so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

from seq2seq.training.callbacks import ValidationScores
from seq2seq.training.state import Counters

_LEAST = 1.0  # points; below, a score says nothing

# The points of each metric, from its value: 0 is the worst value, and higher is better. A metric
# without points is decided by the loss alone.
_POINTS: dict[str, Callable[[float], float]] = {
    "bleu": lambda value: value,
    "chrf": lambda value: value,
    "ter": lambda value: 100 - value,
    "exact-match": lambda value: value,
    "wer": lambda value: 100 - value,
    "ser": lambda value: 100 - value,
    "accuracy": lambda value: 100 * value,
}


def metric_value(scores: ValidationScores, metric: str) -> float:
    """Return the value of `validation.metric` among the scores."""
    values = cast(Mapping[str, float | None], scores)
    value = values[metric.replace("-", "_")]
    assert value is not None
    return value


def points(metric: str, value: float, *, judged: bool = True) -> float:
    """Return how good a value of a metric is: 0 if it says nothing, else 1 to 100.

    judged: Whether the metric can judge at all. BLEU cannot without any matching 4-gram.
    """
    if metric not in _POINTS or not judged:
        return 0.0
    reached = _POINTS[metric](value)
    return reached if reached >= _LEAST else 0.0


class Verdict(NamedTuple):
    """The comparison of a validation with the best one.

    best: whether it is better.
    by: what decided: the metric, or "loss" if the metric says nothing or is equal.
    """

    best: bool
    by: str


def judge(counters: Counters, scores: ValidationScores, metric: str, *, judged: bool) -> Verdict:
    """Compare a validation with the best one, update the counters, and return the verdict.

    More points are better. Between equal points, the lower loss is better, so the loss alone
    decides while the metric says nothing. `counters.waited` is set to 0 by a validation that is
    better, and by the lowest loss so far while the metric says nothing.

    judged: See `points`.
    """
    loss, reached = scores["loss"], points(metric, metric_value(scores, metric), judged=judged)
    best = (
        counters.best is None
        or counters.best_loss is None
        or (reached, -loss) > (counters.best_points, -counters.best_loss)
    )
    first = counters.best is None
    by = metric if reached != (0.0 if first else counters.best_points) else "loss"
    gained = best or (not reached and (counters.lowest_loss is None or loss < counters.lowest_loss))
    if best:
        counters.best, counters.best_points = metric_value(scores, metric), reached
        counters.best_loss = loss
    if counters.lowest_loss is None or loss < counters.lowest_loss:
        counters.lowest_loss = loss
    counters.waited = 0 if gained else counters.waited + 1
    return Verdict(best, by if metric in _POINTS else metric)
