"""Plot the attention of each target subword to each source subword."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from seq2seq.errors import UserError
from seq2seq.evaluation.figures import QUIET, new_figure, save_figure
from seq2seq.files import read_jsonl

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_log = logging.getLogger(__name__)

MAX_PIECES = 100  # maximum pieces per side; a plot with more is not readable
_CELL = 0.24  # inches
_FONT = "DejaVu Sans"  # part of matplotlib; covers Latin, Greek, Cyrillic, Arabic and Hebrew


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
    family = [_FONT, *_fonts_for({*"".join(source), *"".join(target)})]
    _name(axes.set_xticks(range(len(source)), source, rotation=90), family)
    _name(axes.set_yticks(range(len(target)), target), family)
    _grid(axes, weights.shape)
    with warnings.catch_warnings():
        # `_fonts_for` has warned about missing characters; matplotlib would warn again.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        save_figure(figure, picture)


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
            f"{path}: has no alignment of line {line}; the file holds {len(rows):,} lines; choose "
            "one of these"
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


def _name(ticks: Iterable[Any], family: list[str]) -> None:
    for tick in ticks:
        tick.label1.set(family=family, parse_math=False)
        tick.label2.set(family=family, parse_math=False)


def _grid(axes: Axes, shape: tuple[int, ...]) -> None:
    """Draw thin lines between the cells of the heat map, and remove the tick marks."""
    axes.set_xticks(np.arange(1, shape[1]) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, shape[0]) - 0.5, minor=True)
    axes.grid(which="minor", color="#EEEEEE", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.tick_params(labelsize=9, labelcolor="#222222")
    axes.spines[:].set_color(QUIET)


def _fonts_for(characters: set[str]) -> list[str]:
    """Return names of installed fonts for the characters that the default font does not contain.

    The first font contains the most of these characters. A warning lists characters that no
    installed font contains.
    """
    from matplotlib import font_manager

    manager = font_manager.fontManager
    usual = font_manager.findfont(_FONT)
    missing = {ord(c) for c in characters} - _characters_of(usual)
    names: list[str] = []
    if not missing:
        return names
    for file in {*font_manager.findSystemFonts()} - {font.fname for font in manager.ttflist}:
        with suppress(Exception):  # a broken font must not stop the plot
            manager.addfont(file)  # installed after matplotlib built its list of fonts
    upright = [f for f in manager.ttflist if f.style == "normal" and f.weight in (400, "normal")]
    having = {f.name: _characters_of(f.fname) for f in upright if "Last Resort" not in f.name}
    while missing:
        best = max(sorted(having), key=lambda name: len(having[name] & missing), default=None)
        if best is None or not having[best] & missing:
            lacking = "".join(map(chr, sorted(missing)))
            _log.warning(
                "no installed font contains %s: these characters are drawn as boxes; install a "
                "font that contains them (for Chinese, Japanese and Korean: Noto Sans CJK)",
                lacking[:20] + (" ..." if len(lacking) > 20 else ""),
            )
            break
        names.append(best)
        missing -= having[best]
    return names


def _characters_of(file: str) -> set[int]:
    from matplotlib.ft2font import FT2Font

    try:
        return set(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):  # the font is broken, or was removed after matplotlib listed it
        return set()
