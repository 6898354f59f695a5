"""The common parts of all plots: colours, axes, curves with names, and writing to a file."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError, did_you_mean
from seq2seq.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Points = list[tuple[float, float]]

# The colours of Okabe and Ito, which colour-blind people can distinguish. Their yellow is left out
# because a yellow line is too faint.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES = ("-", "--", ":")
QUIET = "#666666"
_FORMATS = ("png", "svg", "pdf")


def new_figure(width: float, height: float = 3.8) -> Figure:
    """Return an empty figure with 150 dots per inch. Its width and height are given in inches."""
    # pyplot is not used: it keeps global state, may need a display, and its figures must be closed.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=(width, height), dpi=150, layout=layout, facecolor="white")


def style_axes(axes: Axes, title: str) -> None:
    """Set the title of the axes, and apply the common style of grid lines and colours."""
    axes.set_title(title, loc="left", fontsize=11, pad=10, color="#222222")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BBBBBB")
    axes.tick_params(colors=QUIET, labelsize=9, length=3)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.03, y=0.15)


def picture_format(picture: Path) -> str:
    """Return the format of a picture file (png, svg or pdf), which its ending selects.

    Raises UserError for any other ending.
    """
    kind = picture.suffix.removeprefix(".").lower()
    if kind not in _FORMATS:
        hint = did_you_mean(kind, _FORMATS)
        raise UserError(
            f"{picture}: a picture must end in .png, .svg or .pdf, not in {kind!r}{hint}"
        )
    return kind


def save_figure(figure: Figure, picture: Path) -> None:
    """Write a figure to a picture file atomically. The ending of the name selects the format.

    Raises UserError if the ending is not png, svg or pdf, or if the file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format=picture_format(picture))
    write_atomically(picture, content.getvalue())


def draw_curve(
    axes: Axes, points: Points, colour: str, *, width: float, dots: bool, dash: str = "-"
) -> None:
    """Draw a curve through points. Without points, draw nothing.

    width: The width of the line in points (1/72 inch).
    dots: Whether each point has a dot.
    dash: The line style of matplotlib, such as "--".
    """
    if points:
        x, y = zip(*points, strict=True)
        marker = "o" if dots else ""
        axes.plot(x, y, dash, color=colour, linewidth=width, marker=marker, markersize=3.5)


def start_at_zero(axes: Axes) -> None:
    """Start the vertical axis at zero or above, because losses and scores are not negative."""
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))


def name_ends(figure: Figure, axes: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Write the name of each curve beside its end, at the right edge of the panel.

    Names that would overlap are moved apart.
    """
    figure.draw_without_rendering()
    apart = 11.0
    wanted = sorted(
        (axes.transData.transform((0, y))[1] * 72 / figure.dpi, name, y, colour)
        for name, y, colour in ends
    )
    floor = -math.inf
    for level, name, y, colour in wanted:
        floor = max(level, floor + apart)
        axes.annotate(
            name,
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(5, floor - level),
            textcoords="offset points",
            va="center",
            fontsize=9,
            color=colour,
            parse_math=False,
        )
