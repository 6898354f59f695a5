"""Texts of several lines: the lines to translate, and the white space around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from seq2seq.decoding.results import LineResult

_LINE = re.compile(r"[^\s](?:[^\r\n]*[^\s])?")


@dataclass(frozen=True)
class TextLayout:
    """A text as lines and the white space around them.

    lines: the lines that are not blank, without white space at both ends.
    gaps: the white space before each line, and after the last one.
    """

    lines: list[str]
    gaps: list[str]

    @classmethod
    def parse(cls, text: str) -> TextLayout:
        r"""Divide a text into lines, which end at `\n`, `\r\n` or `\r`."""
        lines, gaps, end = [], [], 0
        for match in _LINE.finditer(text):
            lines.append(match[0])
            gaps.append(text[end : match.start()])
            end = match.end()
        return cls(lines, [*gaps, text[end:]])

    def compose(self, results: Sequence[LineResult], rank: int = 0) -> str:
        """Return the text with a translation in the place of each line.

        results: the translations of `lines`.
        rank: the number of the translation to use, 0 for the best. A line with fewer translations
            gets its best one.
        """
        texts = [
            result.translations[rank if rank < len(result.translations) else 0].text
            for result in results
        ]
        pieces = [piece for pair in zip(self.gaps, texts, strict=False) for piece in pair]
        return "".join([*pieces, self.gaps[-1]])
