"""Fonts for plots whose labels can be in any script."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.evaluation.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axis import Tick
    from matplotlib.figure import Figure

_log = logging.getLogger(__name__)

_FONT = "DejaVu Sans"  # part of matplotlib; covers Latin, Greek, Cyrillic, Arabic and Hebrew


def save_with_fonts(figure: Figure, ticks: Sequence[Tick], picture: Path) -> None:
    """Write a figure to a picture file, with fonts that contain the characters of its tick labels.

    A warning lists the characters that no installed font contains.

    Raises UserError as `save_figure` does.
    """
    labels = [label for tick in ticks for label in (tick.label1, tick.label2)]
    family = [_FONT, *_fonts_for({*"".join(label.get_text() for label in labels)})]
    for label in labels:
        label.set(family=family, parse_math=False)
    with warnings.catch_warnings():
        # `_fonts_for` has warned about missing characters; matplotlib would warn again.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        save_figure(figure, picture)


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
