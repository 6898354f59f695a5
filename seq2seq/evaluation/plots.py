"""Plot training curves, and the confusion matrix of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.errors import UserError
from seq2seq.evaluation.figures import (
    COLOURS,
    QUIET,
    Points,
    draw_curve,
    name_ends,
    new_figure,
    save_figure,
    start_at_zero,
    style_axes,
)
from seq2seq.jsonl import read_jsonl

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The quality metrics of validation rows. The first one that has a value is plotted.
_QUALITIES = ("WER", "chrF", "TER", "BLEU", "accuracy", "perplexity")


def plot_curves(run: str | Path, picture: str | Path | None = None) -> Figure:
    """Plot the learning curves of a run: losses on the left, a quality metric on the right.

    The losses are in nats per token. The quality metric is WER, chrF or TER if the run logged it,
    otherwise BLEU, otherwise accuracy, otherwise perplexity. The point of the best checkpoint is
    marked with its value. Missing and non-finite values are left out. An incomplete last line is
    ignored because the run may still be writing it.

    Returns the figure, which a notebook with `%matplotlib inline` shows.

    run: The run folder, or its metrics.jsonl.
    picture: The file to write the plot to, if any.

    Raises UserError if metrics.jsonl cannot be read, has no finite loss, or has a malformed row
    (the message names the file and line), or if the ending of `picture` is not png, svg or pdf.
    """
    metrics = Path(run) / "metrics.jsonl" if Path(run).is_dir() else Path(run)
    rows = read_jsonl(metrics, growing=True)
    train = _points(metrics, rows, "train", "loss")
    valid = _points(metrics, rows, "valid", "loss")
    found = ((_points(metrics, rows, "valid", name.lower()), name) for name in _QUALITIES)
    quality, unit = next((pair for pair in found if pair[0]), ([], ""))
    if not (train or valid):
        raise UserError(
            f"{metrics}: nothing to plot: no row of kind 'train' or 'valid' has a finite loss; "
            "train longer, or give another run"
        )
    figure = new_figure(width=9.6 if quality else 5.4)
    panels = figure.subplots(1, 2 if quality else 1, squeeze=False, sharex=True)[0]
    left = panels[0]
    style_axes(left, "Loss (nats per token)")
    draw_curve(left, train, COLOURS[0], width=1.3, dots=len(train) == 1)
    draw_curve(left, valid, COLOURS[1], width=1.8, dots=len(valid) <= 60)
    losses = [("training", train, COLOURS[0]), ("validation", valid, COLOURS[1])]
    if quality:
        right = panels[1]
        style_axes(right, f"Validation {unit}")
        highest = unit not in ("TER", "perplexity")
        draw_curve(right, quality, COLOURS[1], width=1.8, dots=len(quality) <= 60)
        _mark(right, *_best(rows, quality, highest=highest), above=highest)
    for panel in panels:
        _updates(panel)
        start_at_zero(panel)
    name_ends(figure, left, [(name, points[-1][1], c) for name, points, c in losses if points])
    if picture is not None:
        save_figure(figure, Path(picture))
    return figure


def plot_confusion(counts: np.ndarray, names: Sequence[str], picture: Path) -> None:
    """Plot a confusion matrix and write the plot to `picture`.

    Rows are correct labels and columns are predicted labels. Each cell shows its count. The colour
    of a cell is darker if its share of the row is larger.

    counts: [labels, labels] int64.
    names: The labels.
    Raises UserError if the ending of `picture` is not png, svg or pdf.
    """
    size = 0.42 * len(names) + 2.0
    figure = new_figure(size, size)
    axes = figure.subplots()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted label")
    axes.set_ylabel("correct label")
    for row, column in np.argwhere(counts):
        dark = shares[row, column] > 0.5
        colour = "white" if dark else "black"
        text = f"{counts[row, column]:,}"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    save_figure(figure, picture)


def _points(path: Path, rows: Sequence[tuple[int, dict[str, Any]]], kind: str, key: str) -> Points:
    points = []
    for number, row in rows:
        if row.get("kind") != kind or row.get(key) is None:
            continue
        update, value = row.get("update"), row[key]
        if not isinstance(update, int) or not isinstance(value, int | float):
            raise UserError(
                f"{path}:{number}: 'update' and {key!r} must be numbers: fix or delete this line"
            )
        if math.isfinite(value):
            points.append((float(update), float(value)))
    return points


def _best(
    rows: Sequence[tuple[int, dict[str, Any]]], points: Points, *, highest: bool
) -> tuple[float, float]:
    """Return the point of the best checkpoint: the last point that the run marked as best.

    If the run marked no point, return the point with the highest (or lowest) value.
    """
    kept = {row.get("update") for _, row in rows if row.get("kind") == "valid" and row.get("best")}
    if called := [point for point in points if point[0] in kept]:
        return called[-1]
    return (max if highest else min)(points, key=lambda point: point[1])


def _updates(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda update, _: f"{update:,.0f}"))
    axes.set_xlabel("updates", color=QUIET)


def _mark(axes: Axes, x: float, y: float, *, above: bool) -> None:
    axes.plot([x], [y], "o", color=COLOURS[1], markersize=8, markeredgecolor="white", zorder=3)
    low, high = axes.get_xlim()
    # Near the left or right edge, the text extends inwards so that it stays inside the panel.
    place = (x - low) / (high - low)
    side = "left" if place < 0.3 else "right" if place > 0.7 else "center"
    axes.annotate(
        f"{y:.1f} at update {x:,.0f}",
        (x, y),
        xytext=(0, 9 if above else -9),
        textcoords="offset points",
        ha=side,
        va="bottom" if above else "top",
        fontsize=9,
        fontweight="bold",
        color=COLOURS[1],
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
    )
