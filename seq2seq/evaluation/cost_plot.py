"""Plot the scores of a study's variants against training time or number of parameters."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from seq2seq.errors import UserError, did_you_mean
from seq2seq.evaluation.figures import COLOURS, QUIET, new_figure, save_figure, style_axes
from seq2seq.evaluation.results_page import ResultRow, describe_decoding

if TYPE_CHECKING:
    from matplotlib.text import Annotation

Cost = Literal["minutes", "parameters"]
_AXES: dict[Cost, str] = {
    "minutes": "minutes of training",
    "parameters": "parameters (millions)",
}
_LABEL: dict[str, Any] = {
    "xytext": (0, 0),
    "textcoords": "offset points",
    "fontsize": 8,
    "parse_math": False,
}
_POINT = 6  # radius of the largest point, in pixels
# Possible positions of a label beside its point; the first free one is used. Each entry holds the
# offset (x, y) in points, the horizontal alignment and the vertical alignment.
_PLACES = [
    ((6, 4), "left", "bottom"),
    ((6, -4), "left", "top"),
    ((-6, 4), "right", "bottom"),
    ((-6, -4), "right", "top"),
    ((0, 7), "center", "bottom"),
    ((0, -7), "center", "top"),
]


@dataclass(frozen=True)
class VariantCost:
    """The cost and the score of a variant, as means over the seeds.

    name: The name of the variant, without the common prefix of all variants.
    cost: The time of training in minutes, or the number of parameters in millions.
    score: The value of the metric, in the unit of the metric.
    """

    name: str
    cost: float
    score: float


def select_variants(
    rows: Iterable[ResultRow], *, prefix: str, split: str, decoding: str, metric: str, cost: Cost
) -> list[VariantCost]:
    """Return the mean cost and score of each variant whose name begins with `prefix`.

    The cheapest variant comes first. The prefix is removed from the names.

    rows: The rows of results.jsonl files. If a seed has several rows, only the last row counts.
    split: The name of the data set of the scores.
    decoding: The description of the search in RESULTS.md, such as "greedy".
    metric: The name of the metric, such as "BLEU".

    Raises UserError if no row matches. The message then lists the metrics and searches in the rows.
    Raises UserError if `cost` is "minutes" and a row does not state the training time.
    """
    known: dict[str, None] = {}  # used as an ordered set
    costs: dict[str, dict[int, tuple[float, float]]] = {}
    for row in rows:
        values = {metric_row["name"]: metric_row["value"] for metric_row in row["metrics"]}
        if not row["variant"].startswith(prefix):
            continue
        there = (row["split"], describe_decoding(row["decoding"]))
        known |= {f"{name} on {there[0]}, {there[1]}": None for name in values}
        if there != (split, decoding) or metric not in values:
            continue
        minutes = row["training_minutes"]
        if cost == "minutes" and minutes is None:
            raise UserError(
                f"{row['variant']}: the training time is unknown (training_minutes is null); "
                "plot against parameters instead (--against parameters)"
            )
        price = minutes if cost == "minutes" else row["parameters"] / 1e6
        costs.setdefault(row["variant"], {})[row["seed"]] = (price, values[metric])
    if not costs:
        wanted = f"{metric} on {split}, {decoding}"
        has = (
            f"these variants have {'; '.join(known)}"
            if known
            else "no variant name begins with this prefix"
        )
        raise UserError(
            f"no variant whose name begins with {prefix!r} has a score for {wanted}: {has}"
        )
    means = [
        VariantCost(
            name.removeprefix(prefix), *map(statistics.fmean, zip(*seeds.values(), strict=True))
        )
        for name, seeds in costs.items()
    ]
    return sorted(means, key=lambda variant: (variant.cost, -variant.score))


def pareto_frontier(sorted_variants: Sequence[VariantCost]) -> list[VariantCost]:
    """Return the Pareto frontier: each variant that has a higher score than every cheaper variant.

    sorted_variants: All variants in order of increasing cost.
    """
    best: list[VariantCost] = []
    for variant in sorted_variants:
        if not best or variant.score > best[-1].score:
            best.append(variant)
    return best


def plot_costs(
    variants: Sequence[VariantCost],
    picture: Path,
    *,
    metric: str,
    cost: Cost,
    named: Sequence[str] = (),
    lowest: float | None = None,
) -> None:
    """Plot score against cost with one point per variant, and write the plot to `picture`.

    A line connects the variants on the Pareto frontier, which are labelled with their names.

    metric: The title of the plot.
    named: Names of further variants to label.
    lowest: The lowest score on the vertical axis. A variant with a lower score is drawn at the
        bottom, labelled with name and score.

    Raises UserError if no variant has a name in `named`, if `lowest` is NaN or infinite, or if the
    ending of `picture` is not png, svg or pdf.
    """
    if lowest is not None and not math.isfinite(lowest):
        raise UserError(f"the lowest score (--lowest) must be a finite number, but is {lowest}")
    names = {variant.name for variant in variants}
    for name in named:
        if name not in names:
            raise UserError(f"no variant is called {name!r}{did_you_mean(name, names)}")
    figure = new_figure(width=7.2, height=4.4)
    axes = figure.subplots()
    style_axes(axes, metric)
    axes.set_xlabel(_AXES[cost], color=QUIET)
    axes.margins(x=0.12, y=0.12)
    best = pareto_frontier(variants)
    line = [(variant.cost, variant.score) for variant in best]
    axes.plot(*zip(*line, strict=True), color=COLOURS[0], lw=1.2)
    labels, places = [], []
    for variant in variants:
        ours = variant in best
        colour = COLOURS[0] if ours else COLOURS[1] if variant.name in named else QUIET
        if below := lowest is not None and variant.score < lowest:
            where, text, mark = (variant.cost, lowest), f"{variant.name} {variant.score:.1f}", "v"
        else:
            where, text, mark = (variant.cost, variant.score), variant.name, "o"
        size = 6 if ours else 4.5
        above = 2 if colour == QUIET else 3  # labelled points are drawn on top
        axes.plot(
            where[0], where[1], mark, color=colour, markersize=size, clip_on=False, zorder=above
        )
        if ours or below or variant.name in named:
            labels.append(axes.annotate(text, where, **_LABEL, color=colour))
        places.append(where)
    axes.set_ylim(bottom=lowest)
    figure.draw_without_rendering()  # computes the pixel positions
    pixels = axes.transData.transform
    _set_apart(labels, pixels(places), pixels(line), axes.get_window_extent().y0)
    save_figure(figure, picture)


def _set_apart(
    labels: Sequence[Annotation], points: np.ndarray, line: np.ndarray, foot: float
) -> None:
    """Move each label to a free position beside its point.

    A free position is above the bottom of the axes and overlaps neither a point, nor the line, nor
    an earlier label. If no position is free, the label gets the last position in `_PLACES`.

    points: [N, 2], the points in pixels.
    line: [M, 2], the corners of the line in pixels.
    foot: The bottom of the axes in pixels.
    """
    from matplotlib.path import Path as Line
    from matplotlib.transforms import Bbox

    taken = [Bbox([(x - _POINT, y - _POINT), (x + _POINT, y + _POINT)]) for x, y in points]
    joined = Line(line)
    for label in labels:
        for away, horizontal, vertical in _PLACES:
            label.xyann = away
            label.set(ha=horizontal, va=vertical)
            box = label.get_window_extent()
            if box.y0 < foot or joined.intersects_bbox(box, filled=False):
                continue
            if not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
