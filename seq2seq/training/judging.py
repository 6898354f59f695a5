"""Decide which weights are the best, and whether a run still makes progress.

Near its worst value, a score such as BLEU cannot tell good weights from bad weights: a model that
has learned half of what it needs may still have BLEU 0. In this range, the validation loss decides.
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
    """Return how good a metric's value is, from 1 to 100 points, or 0 points if it cannot decide.

    value: the value of the metric. It cannot decide if it is within 1 point of the worst value,
        which is 0 for BLEU.
    judged: whether the metric can judge the weights at all. BLEU cannot if no 4-gram matches.
    """
    if metric not in _POINTS or not judged:
        return 0.0
    reached = _POINTS[metric](value)
    return reached if reached >= _LEAST else 0.0


class Verdict(NamedTuple):
    """The comparison of a validation with the best validation so far.

    best: whether the new validation is better.
    by: what decided the comparison. This is the metric, or "loss" if the metric cannot decide.
    """

    best: bool
    by: str


def judge(counters: Counters, scores: ValidationScores, metric: str, *, judged: bool) -> Verdict:
    """Compare a validation with the best one so far, update the counters, and return the verdict.

    More points are better (see `points`). Between equal points, the lower loss is better. So the
    loss alone decides as long as the metric gives 0 points. The counter `waited` counts validations
    without progress. Progress means that the validation is the best so far or, with 0 points, that
    the loss is the lowest so far.

    judged: whether the metric can judge the weights at all, as in `points`.
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
