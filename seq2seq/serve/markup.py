"""Find the sentences to translate in HTML, and put their translations in place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape, unescape

from seq2seq.decoding.results import LineResult
from seq2seq.errors import UserError
from seq2seq.serve.html_scanner import Piece, scan_html
from seq2seq.serve.tag_placing import InlineElement, place_elements

_BLOCK_NAMES = """
address article aside audio blockquote body br button canvas caption center col colgroup dd details
dialog dir div dl dt fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head
header hgroup hr html iframe input legend li link main map menu meta nav noscript object ol optgroup
option p param pre script section select style summary table tbody td template textarea tfoot th
thead title tr track ul video
"""
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_SPACE = re.compile(r"\s+")
_LONG_NUMBER = re.compile(r"&#[0-9]{1000,};?")
_BARE_AND = re.compile(r"&(?!#?\w)")
_MOST_TAGS = 200  # in a sentence; more of them are not worth the time to place them


@dataclass
class _Sentence:
    """A sentence of an HTML text, with its inline tags.

    before, after: the HTML around the text, such as white space, which stays unchanged.
    text: the plain text to translate. If it is empty, nothing is translated.
    elements: the inline elements in the text.
    """

    before: str
    text: str = ""
    elements: list[InlineElement] = field(default_factory=list)
    after: str = ""

    def compose(self, target: LineResult, spaced: tuple[bool, bool]) -> str:
        best = target.best
        if not self.elements:
            inner = escape(best.text, quote=False)
        else:
            inner = place_elements(
                self.elements, self.text, best.text, best.alignment, spaced=spaced
            )
        return self.before + inner + self.after


class Markup:
    """An HTML text. Its sentences are translated, with inline tags kept in place.

    lines: the sentences to translate, as plain text.
    """

    def __init__(
        self, text: str, *, most: int = 0, spaced: tuple[bool, bool] = (True, True)
    ) -> None:
        """Divide an HTML text into sentences.

        most: the largest number of sentences; 0 means no limit.
        spaced: whether the source language puts spaces between words, and whether the target does.

        Raises UserError for more sentences.
        """
        self._most, self._count = most, 0
        self._spaced = spaced
        self._sentences: list[_Sentence] = []
        run: list[Piece] = []
        for piece in scan_html(text):
            if piece.kind == "other" or piece.name in _BLOCKS:
                self._add(run)
                self._sentences.append(_Sentence(piece.raw))
                run = []
            else:
                run.append(piece)
        self._add(run)
        self.lines = [sentence.text for sentence in self._sentences if sentence.text]

    def compose(self, results: Sequence[LineResult], rank: int = 0) -> str:
        """Return the HTML text with a translation in the place of each sentence.

        results: the translations of `lines`. rank: not used, because HTML has no alternatives.
        """
        waiting = iter(results)
        return "".join(
            sentence.compose(next(waiting), self._spaced) if sentence.text else sentence.before
            for sentence in self._sentences
        )

    def _add(self, run: Sequence[Piece]) -> None:
        if sum(piece.kind != "text" for piece in run) > _MOST_TAGS:
            for piece in run:
                if piece.kind == "text":
                    self._append(_sentence([piece]))
                else:
                    self._sentences.append(_Sentence(piece.raw))
        elif run:
            self._append(_sentence(run))

    def _append(self, sentence: _Sentence) -> None:
        self._sentences.append(sentence)
        self._count += bool(sentence.text)
        if self._most and self._count > self._most:
            raise UserError(
                f"Invalid request: the HTML text has more than {self._most} sentences; "
                "shorten the text"
            )


def _decode(text: str) -> str:
    """Return a text with characters instead of character references such as `&eacute;`.

    `html.unescape` raises ValueError for numbers of more than 4,300 digits.
    """
    return unescape(_LONG_NUMBER.sub("\ufffd", text))


def _escape_bare(text: str) -> str:
    """Escape `&`, `<` and `>` in a text without words. Character references stay as they are."""
    return _BARE_AND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")


def _sentence(run: Sequence[Piece]) -> _Sentence:
    """Return the sentence that consecutive pieces of text and inline tags form."""
    plain = _decode("".join(piece.raw for piece in run if piece.kind == "text"))
    if not any(map(str.isalnum, plain)):
        raw = (_escape_bare(piece.raw) if piece.kind == "text" else piece.raw for piece in run)
        return _Sentence("".join(raw))
    core = list(run)
    before, after = _strip(core, 0), _strip(core, -1)
    text = ""
    tags: list[tuple[Piece, int, tuple[bool, bool]]] = []
    for number, piece in enumerate(core):
        if piece.kind == "text":
            words = _SPACE.sub(" ", _decode(piece.raw))
            text += words.lstrip() if not text or text.endswith(" ") else words
        else:
            following = core[number + 1] if number + 1 < len(core) else piece
            right = following.kind == "text" and not following.raw[0].isspace()
            tags.append((piece, len(text), (bool(text) and not text.endswith(" "), right)))
    return _Sentence(before, text.rstrip(), _nest(tags, len(text.rstrip())), after)


def _strip(core: list[Piece], side: int) -> str:
    """Remove white space and single tags, such as <br>, from an end of a sentence. Return them.

    core: the pieces of the sentence, which this function changes.
    side: 0 for the beginning of the sentence, -1 for the end.
    """
    taken: list[str] = []
    while core and core[side].kind in ("text", "single"):
        piece = core[side]
        if piece.kind == "single":
            taken.append(core.pop(side).raw)
            continue
        bare = piece.raw.lstrip() if side == 0 else piece.raw.rstrip()
        space = len(piece.raw) - len(bare)
        taken.append(piece.raw[:space] if side == 0 else piece.raw[len(piece.raw) - space :])
        if bare:
            core[side] = Piece("text", bare)
            break
        core.pop(side)
    return "".join(taken if side == 0 else reversed(taken))


def _nest(tags: Sequence[tuple[Piece, int, tuple[bool, bool]]], size: int) -> list[InlineElement]:
    """Return the nested elements that tags form. An unmatched tag becomes an empty element.

    tags: each tag, the number of characters before it, and whether words touch it (left, right).
    size: the number of characters of the sentence.
    """
    roots: list[InlineElement] = []
    stack: list[tuple[str, InlineElement]] = []

    def siblings() -> list[InlineElement]:
        return stack[-1][1].children if stack else roots

    def close_as_single() -> None:
        """Close the innermost open element as a single tag, because its end tag is missing."""
        _, element = stack.pop()
        siblings().extend(element.children)
        element.children, element.end = [], element.start

    for piece, at, glued in tags:
        at = min(at, size)
        if piece.kind == "open":
            element = InlineElement((piece.raw, ""), at, at, glued)
            siblings().append(element)
            stack.append((piece.name, element))
        elif piece.kind == "close" and any(name == piece.name for name, _ in stack):
            while stack[-1][0] != piece.name:
                close_as_single()
            _, element = stack.pop()
            element.raw, element.end = (element.raw[0], piece.raw), at
        else:
            siblings().append(InlineElement((piece.raw, ""), at, at, glued))
    while stack:
        close_as_single()
    return roots
