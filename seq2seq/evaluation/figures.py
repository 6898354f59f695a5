"""What all pictures share: their colours, their frame, and a file that is whole or not there."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError, did_you_mean
from seq2seq.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The colours of Okabe and Ito, told apart by colour-blind eyes; yellow is too faint for a line.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
DASHES = ("-", "--", ":")
QUIET = "#666666"
_FORMATS = ("png", "svg", "pdf")


def new_figure(width: float, height: float = 3.8) -> Figure:
    """An empty one; inches, of 150 dots."""
    # A Figure of our own, not pyplot's: no global state, no display, and nothing to close.
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    return Figure(figsize=(width, height), dpi=150, layout=layout, facecolor="white")


def style_axes(axes: Axes, title: str) -> None:
    """The title, the grid and the colours that all pictures share."""
    axes.set_title(title, loc="left", fontsize=11, pad=10, color="#222222")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#BBBBBB")
    axes.tick_params(colors=QUIET, labelsize=9, length=3)
    axes.grid(axis="y", color="#E6E6E6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.03, y=0.15)


def picture_format(picture: Path) -> str:
    """Raises UserError for what is no picture's name."""
    kind = picture.suffix.removeprefix(".").lower()
    if kind not in _FORMATS:
        hint = did_you_mean(kind, _FORMATS)
        raise UserError(f"{picture}: pictures are .png, .svg or .pdf, not {kind!r}{hint}")
    return kind


def save_figure(figure: Figure, picture: Path) -> None:
    """Write a picture, whole or not at all; its name says of what kind. Raises UserError."""
    content = io.BytesIO()
    figure.savefig(content, format=picture_format(picture))
    write_atomically(picture, content.getvalue())
