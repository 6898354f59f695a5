"""Divide HTML into tags and text, in time that grows linearly with its length.

The pieces, joined together, are the original text, even if it is not well-formed HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

PieceKind = Literal["text", "open", "close", "single", "other"]

_NAME = re.compile(r"</?([A-Za-z][^\s/>]*)")
_TAG_START = re.compile(r"</?[A-Za-z]|<[!?]")
_STOP = re.compile("[>\"']")
_KEPT = re.compile(
    r"""\btranslate\s*=\s*["']?no\b|\bclass\s*=\s*["'][^"']*\bnotranslate\b""", re.IGNORECASE
)
_VOID_NAMES = "area base br col embed hr img input link meta param source track wbr"
_VOID = frozenset(_VOID_NAMES.split())
# The content of these elements is no text for a translator.
_UNTRANSLATED_NAMES = "code kbd math pre samp script style svg template textarea var"
_UNTRANSLATED = frozenset(_UNTRANSLATED_NAMES.split())
_RAW = frozenset(("script", "style", "textarea"))  # these contain no tags
_QUOTED, _FAILURES = 100, 100  # quotes in a tag, and tags without an end behind their quotes


@dataclass(frozen=True)
class Piece:
    """A part of an HTML text.

    kind: "text", "open" (<b>), "close" (</b>), "single" (<br>, or a whole element that is not
        translated) or "other" (a comment, for example).
    raw: the part itself.
    name: the lower-case name of a tag.
    """

    kind: PieceKind
    raw: str
    name: str = ""


def scan_html(text: str) -> Iterator[Piece]:
    """Yield the pieces of an HTML text, in order.

    An element whose content must not be translated, such as <code>, is one piece.
    """
    scanner = _Scanner(text)
    kept: list[str] = []  # the pieces of an element that stays as it is
    depth, name = 0, ""
    for piece in scanner.pieces():
        if depth:
            kept.append(piece.raw)
            if piece.name == name:
                depth += {"open": 1, "close": -1}.get(piece.kind, 0)
            if not depth:
                yield Piece("single", "".join(kept), name)
        elif piece.kind == "open" and _stays(piece):
            depth, name, kept = 1, piece.name, [piece.raw]
        else:
            yield piece
    if depth:
        yield Piece("other", "".join(kept))


def _stays(piece: Piece) -> bool:
    return piece.name in _UNTRANSLATED or _KEPT.search(piece.raw) is not None


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.failures = text, 0
        self.last_end = text.rfind(">")

    def pieces(self) -> Iterator[Piece]:
        text, start, at = self.text, 0, 0
        while (match := _TAG_START.search(text, at)) is not None:
            piece = self._markup(match.start())
            if piece is None:
                at = match.end()
                continue
            if match.start() > start:
                yield Piece("text", text[start : match.start()])
            yield piece
            start = at = match.start() + len(piece.raw)
            if piece.kind == "open" and piece.name in _RAW:
                close = re.compile(f"</{piece.name}", re.I).search(text, at)
                end = close.start() if close else len(text)
                if end > at:
                    yield Piece("other", text[at:end])
                start = at = end
        if start < len(text):
            yield Piece("text", text[start:])

    def _markup(self, start: int) -> Piece | None:
        """Return the tag, comment or declaration at a position, or None if its end is missing."""
        text = self.text
        if text.startswith("<!--", start):
            end = text.find("-->", start + 4)
            return Piece("other", text[start : end + 3 if end >= 0 else len(text)])
        if start > self.last_end:
            return None
        if text[start + 1] in "!?":
            return Piece("other", text[start : text.index(">", start) + 1])
        raw = text[start : self._tag_end(start)]
        match = _NAME.match(raw)
        assert match is not None
        name = match[1].lower()
        if raw[1] == "/":
            return Piece("close", raw, name)
        return Piece("single" if name in _VOID or raw.endswith("/>") else "open", raw, name)

    def _tag_end(self, start: int) -> int:
        """Return the position after the end of a tag. A `>` between quotes does not end the tag."""
        at = start
        for _ in range(_QUOTED if self.failures < _FAILURES else 0):
            stop = _STOP.search(self.text, at)
            if stop is None:
                break
            if stop[0] == ">":
                return stop.end()
            at = self.text.find(stop[0], stop.end()) + 1
            if not at:
                break
        self.failures += 1
        return self.text.index(">", start) + 1
