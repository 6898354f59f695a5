"""Plot scores by source length: BLEU of translators, and error rates of symbols."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError
from seq2seq.evaluation.confusion_labels import confusion_labels
from seq2seq.evaluation.figures import (
    COLOURS,
    DASHES,
    QUIET,
    draw_curve,
    name_ends,
    new_figure,
    save_figure,
    start_at_zero,
    style_axes,
)
from seq2seq.evaluation.fonts import save_with_fonts
from seq2seq.evaluation.lengths import LengthBucket
from seq2seq.evaluation.symbol_scores import Confusion, SymbolLengthBucket

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The smallest and the largest source length (None: no limit), the number of lines, and their score.
_Bucket = tuple[int, int | None, int, float]


def plot_lengths(systems: Mapping[str, Sequence[LengthBucket]], picture: Path) -> None:
    """Plot BLEU against source length, with one curve for each system.

    If all systems have the same number of lines in a bucket, the plot shows this number.

    systems: A dictionary from the name of each system to its buckets.
    Raises UserError if no system has a bucket, or if the ending of `picture` is not png, svg or
    pdf.
    """
    if not any(systems.values()):
        raise UserError(
            f"{picture}: nothing to plot: no system has any lines; give texts that are not empty"
        )
    curves = {
        name: [(one.low, one.high, one.lines, one.bleu) for one in buckets]
        for name, buckets in systems.items()
    }
    figure = new_figure(width=7.2)
    axes = figure.subplots()
    style_axes(axes, "BLEU by source length")
    _draw_by_length(figure, axes, curves, unit="words")
    save_figure(figure, picture)


def plot_symbol_errors(
    buckets: Sequence[SymbolLengthBucket], confusions: Sequence[Confusion], picture: Path
) -> None:
    """Plot error rates against source length, and the counts of the most frequent confusions.

    The word error rate and the symbol error rate are two curves in the left panel. The right
    panel, which has a bar for each confusion, is left out if there are no confusions.

    Raises UserError if the ending of `picture` is not png, svg or pdf.
    """
    rates = [(one.low, one.high, one.errors) for one in buckets]
    curves = {
        "WER": [(low, high, part.items, part.word_error_rate) for low, high, part in rates],
        "SER": [(low, high, part.items, part.symbol_error_rate) for low, high, part in rates],
    }
    figure = new_figure(width=13.0 if confusions else 7.2, height=4.6)
    panels = figure.subplots(1, 2 if confusions else 1, squeeze=False)[0]
    style_axes(panels[0], "Errors by source length (percent)")
    _draw_by_length(figure, panels[0], curves, unit="symbols")
    ticks = []
    if confusions:
        labels = [" → ".join(label) for label in confusion_labels(confusions)]
        style_axes(panels[1], "Most frequent confusions (reference → output)")
        panels[1].grid(visible=False)
        counts = [one.count for one in confusions]
        bars = panels[1].barh(range(len(labels)), counts, color=COLOURS[0])
        panels[1].bar_label(bars, padding=3, fontsize=9, color=QUIET)
        panels[1].set_xticks([])
        panels[1].spines["bottom"].set_visible(False)
        panels[1].margins(y=0.01)
        panels[1].invert_yaxis()
        ticks = panels[1].set_yticks(range(len(labels)), labels)
    save_with_fonts(figure, ticks, picture)


def _draw_by_length(
    figure: Figure, axes: Axes, curves: Mapping[str, Sequence[_Bucket]], *, unit: str
) -> None:
    ranges = {(low, high) for buckets in curves.values() for low, high, *_ in buckets}
    order = sorted(ranges, key=lambda bounds: (bounds[0], bounds[1] or math.inf))
    ends = []
    for number, (name, buckets) in enumerate(curves.items()):
        points = [(float(order.index((low, high))), score) for low, high, _, score in buckets]
        colour = COLOURS[number % len(COLOURS)]
        dash = DASHES[number // len(COLOURS) % len(DASHES)]
        draw_curve(axes, sorted(points), colour, width=1.8, dots=True, dash=dash)
        if points:
            ends.append((name, max(points)[1], colour))
    axes.set_xticks(range(len(order)), [_tick(bounds, curves) for bounds in order])
    axes.set_xlim(-0.4, len(order) - 0.6)
    axes.set_xlabel(f"{unit} in the source", color=QUIET)
    start_at_zero(axes)
    name_ends(figure, axes, ends)


def _tick(bounds: tuple[int, int | None], curves: Mapping[str, Sequence[_Bucket]]) -> str:
    low, high = bounds
    length = f"{low}+" if high is None else f"≤ {high}" if low == 0 else f"{low}–{high}"
    if low == high:
        length = str(low)
    counts = {count for rows in curves.values() for *place, count, _ in rows if (*place,) == bounds}
    if len(counts) > 1:
        return length
    lines = counts.pop()
    return f"{length}\n{lines:,} line{'' if lines == 1 else 's'}"
