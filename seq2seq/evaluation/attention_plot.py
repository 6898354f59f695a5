"""Plot the attention of each target subword to each source subword."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from seq2seq.errors import UserError, counted
from seq2seq.evaluation.figures import QUIET, new_figure
from seq2seq.evaluation.fonts import save_with_fonts
from seq2seq.jsonl import read_jsonl

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_PIECES = 100  # maximum pieces per side; a plot with more is not readable
_CELL = 0.24  # inches


def plot_attention(alignments: Path, line: int, picture: Path) -> None:
    """Plot the attention weights of one line as a heat map and write it to `picture`.

    Source subwords are columns, target subwords are rows, and a darker cell has a larger weight.
    The plot uses installed fonts that contain the characters. A warning lists characters that no
    installed font contains.

    alignments: A file that `seq2seq translate --alignments FILE.jsonl` wrote.
    line: The number of the line in the translated text, counted from 1.
    picture: The picture file to write: .png, .svg or .pdf.

    Raises UserError if `alignments` cannot be read or has another format, or if `picture` has a
    different ending. Also raises UserError if the line is missing or blank, or if its source or
    target has more than 100 subwords.
    """
    source, target, weights = _read(alignments, line)
    figure = new_figure(_CELL * len(source) + 2.4, _CELL * len(target) + 1.8)
    axes = figure.subplots()
    image = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    scale = figure.colorbar(image, ax=axes, ticks=[0, 0.5, 1], fraction=0.04, aspect=30, pad=0.02)
    scale.set_label("weight", color=QUIET)
    scale.ax.tick_params(length=0, labelsize=8, labelcolor=QUIET)
    scale.outline.set_visible(False)
    axes.xaxis.tick_top()
    columns = axes.set_xticks(range(len(source)), source, rotation=90)
    rows = axes.set_yticks(range(len(target)), target)
    _grid(axes, weights.shape)
    save_with_fonts(figure, [*columns, *rows], picture)


def _read(path: Path, line: int) -> tuple[list[str], list[str], np.ndarray]:
    """Read the alignment of one line from a .jsonl file.

    Returns the S source subwords, the T target subwords and the attention weights [T, S]. In the
    subwords, characters that cannot be printed are replaced by escapes such as \\u000a.
    """
    if path.suffix != ".jsonl":
        raise UserError(
            f"{path}: not a .jsonl file with attention weights; give a file that "
            "seq2seq translate --alignments FILE.jsonl wrote"
        )
    rows = read_jsonl(path)
    rows_of_line = [(number, row) for number, row in rows if row.get("line") == line]
    if not rows_of_line:
        raise UserError(
            f"{path}: has no alignment of line {line}; the file holds "
            f"{counted(len(rows), 'line')}; choose one of these"
        )
    number, row = rows_of_line[0]
    source, target, weights = row.get("source"), row.get("target"), row.get("weights")
    if not (_is_text(source) and _is_text(target) and _is_table(weights, len(target), len(source))):
        raise UserError(
            f"{path}:{number}: not an alignment: a line needs source pieces, target pieces and a "
            "weight from 0 to 1 for each pair of pieces; create the file with "
            "seq2seq translate --alignments FILE.jsonl"
        )
    if not source or not target:
        raise UserError(f"{path}:{number}: line {line} is blank; choose a line with text")
    if max(len(source), len(target)) > MAX_PIECES:
        raise UserError(
            f"{path}:{number}: line {line} has {len(source)} source and {len(target)} target "
            f"pieces, but a plot shows at most {MAX_PIECES} of each; choose a shorter line"
        )
    return (
        [_legible(piece) for piece in source],
        [_legible(piece) for piece in target],
        np.array(weights, np.float64),
    )


def _is_text(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(piece, str) for piece in value)


def _is_table(value: Any, rows: int, columns: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == rows
        and all(isinstance(row, list) and len(row) == columns for row in value)
        and all(isinstance(weight, int | float) for row in value for weight in row)
        and all(0 <= weight <= 1 for row in value for weight in row)  # this also excludes NaN
    )


def _legible(piece: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in piece)


def _grid(axes: Axes, shape: tuple[int, ...]) -> None:
    """Draw thin lines between the cells of the heat map, and remove the tick marks."""
    axes.set_xticks(np.arange(1, shape[1]) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, shape[0]) - 0.5, minor=True)
    axes.grid(which="minor", color="#EEEEEE", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.tick_params(labelsize=9, labelcolor="#222222")
    axes.spines[:].set_color(QUIET)
