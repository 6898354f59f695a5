"""Write capitals as marks around lower-case text, so that `THE`, `The` and `the` share subwords.

A mark stands before the word, or before the space in front of the word:

    ⇧  The next word begins with a capital.
    ⇪  The next word is in capitals.
    ⇑  All words from here to ⇓, or to the end of the line, are in capitals.
    ⇓  The part that began with ⇑ ends here.
    ⇴  The next character is text, although it looks like a mark.

"The BAKER buys BREAD AND MILK." becomes "⇧ the⇪ baker buys⇑ bread and milk.". A marked text has one
extra space before its first word, so that this word has the same subwords as elsewhere. A word in
mixed case ("McDonald"), or with a letter whose case cannot be restored ("İstanbul"), keeps its
capitals and gets no mark. So `restore_case` inverts `mark_case` exactly, for every text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

CAPITALISED, UPPER, SPAN, SPAN_END, LITERAL = MARKS = "⇧⇪⇑⇓⇴"

_LETTERS = "[^\\W\\d_](?:[^\\W\\d_]|[\u0300-\u036f])*"  # letters and their combining marks


@dataclass
class _Word:
    """A word of a text.

    start: the index of its first character in the text.
    end: the index after its last character.
    mark: CAPITALISED or UPPER, or None for a word that keeps its capitals.
    """

    start: int
    end: int
    mark: str | None

    @property
    def is_letter(self) -> bool:
        """Whether the word is a single capital letter, to which both ⇧ and ⇪ could apply."""
        return self.end - self.start == 1


class CaseMarker:
    """Convert text to lower case with marks for capitals, and convert it back.

    symbols: The strings of `tokenizer.symbols`, whose case is not changed.
    """

    def __init__(self, symbols: Sequence[str] = ()) -> None:
        names = [re.escape(symbol) for symbol in sorted(symbols, key=len, reverse=True)]
        named = "|".join(f"(?:{name})" for name in names) or "(?!)"
        marks = re.escape(MARKS)
        self._raw = re.compile(f"(?P<symbol>{named})|(?P<mark>[{marks}])|(?P<word>{_LETTERS})")
        self._marked = re.compile(
            f"(?P<symbol>{named})|{LITERAL}(?P<literal>[{marks}])|(?P<mark>[{marks}])"
            f"|(?P<word>{_LETTERS})|(?P<rest>.)",
            re.DOTALL,
        )
        self._has_symbols = bool(symbols)

    def mark_case(self, text: str) -> tuple[str, list[int]]:
        """Return the text in lower case with marks for capitals, and the origins of its characters.

        An origin is the index of the original character in `text`. An empty text stays empty.
        """
        if not text:
            return "", []
        marked = self._write(text, lowered=True)
        # Only these texts can hold a word whose case is not restored.
        doubtful = self._has_symbols or not text.isascii()
        if doubtful and self.restore_case(marked[0])[0] != text:
            return self._write(text, lowered=False)
        return marked

    def restore_case(self, marked: str) -> tuple[str, list[int]]:
        """Restore the capitals that the marks in a text stand for, and remove the marks.

        Return the text, and for each character of `marked` its index in this text. Any order of
        marks is accepted, because a model may write any. A mark without a word has no effect.
        """
        pieces: list[str] = []
        starts: list[int] = []
        length, pending, in_span, is_first = 0, "", False, True
        for match in self._marked.finditer(marked):
            kind, piece = match.lastgroup, match[0]
            counts = [0] * len(piece)
            if kind == "mark":
                pending = piece if piece in (CAPITALISED, UPPER) else pending
                in_span = piece == SPAN or (in_span and piece != SPAN_END)
            else:
                if kind == "literal":
                    counts = [0, 1]
                elif kind == "word":
                    letters = list(piece)
                    if in_span or pending == UPPER:
                        letters = [letter.upper() for letter in letters]
                    elif pending == CAPITALISED:
                        letters[0] = letters[0].title()
                    pending, counts = "", list(map(len, letters))
                    piece = "".join(letters)
                elif is_first and piece == " ":
                    piece = ""  # the extra space
                else:
                    counts = [1] * len(piece)
                is_first = False
                pieces.append(match["literal"] if kind == "literal" else piece)
            for count in counts:
                starts.append(length)
                length += count
        return "".join(pieces), starts

    def _write(self, text: str, *, lowered: bool) -> tuple[str, list[int]]:
        """Return the text with marks for capitals, and the original index of each character.

        lowered: Convert words to lower case. If false, add only a space before the first word, and
            a ⇴ before each character that looks like a mark.
        """
        words = [
            _Word(match.start(), match.end(), _mark_of(match[0]))
            for match in self._raw.finditer(text)
            if lowered and match.lastgroup == "word" and match[0] != match[0].lower()
        ]
        before, after = _plan_marks(words, text, self._last_word(text))
        lower = {word.start: word.end for word in words if word.mark}
        pieces, origins, at = [" "], [0], 0

        def add(piece: str, origin: int, step: int = 0) -> None:
            if piece:
                pieces.append(piece)
                origins.extend(origin + step * i for i in range(len(piece)))

        for match in self._raw.finditer(text):
            start, end = match.span()
            add(text[at:start], at, 1)
            if mark := before.get(start):
                # The mark stands before the space in front of the word.
                spaced = pieces[-1].endswith(" ")
                pieces[-1] = pieces[-1].removesuffix(" ")
                add(f"{mark} " if spaced else mark, origins.pop() if spaced else start)
            if match.lastgroup == "mark":
                add(LITERAL, start)
            word = text[start:end]
            add(word.lower() if start in lower else word, start, 1)
            if end in after:
                add(SPAN_END, end - 1)
            at = end
        add(text[at:], at, 1)
        return "".join(pieces), origins

    def _last_word(self, text: str) -> int:
        """Return the position of the last word or symbol of a text, or -1 if there is none."""
        starts = [m.start() for m in self._raw.finditer(text) if m.lastgroup != "mark"]
        return starts[-1] if starts else -1


def _mark_of(word: str) -> str | None:
    """Return the mark for a word's capitals, or None if a mark could not restore the case."""
    lower = word.lower()
    if len(lower) != len(word):
        return None
    if lower[0].title() + lower[1:] == word:
        return CAPITALISED
    return UPPER if "".join(map(str.upper, lower)) == word else None


def _plan_marks(words: list[_Word], text: str, last: int) -> tuple[dict[int, str], set[int]]:
    """Return the mark to put before each word, and the positions where to put the mark ⇓.

    The mark ⇓ ends a series of words in capitals. The keys of the dictionary are the starts of
    words.

    words: The words of `text` that are not in lower case, in order.
    last: The position of the last word of the text. A series of capitals that ends there needs no
        ⇓.
    """
    before = {word.start: word.mark for word in words if word.mark}
    after = set()
    for span in _spans(words, text):
        before |= dict.fromkeys((word.start for word in span), "")
        before[span[0].start] = SPAN
        if span[-1].start != last:
            after.add(span[-1].end)
    return before, after


def _spans(words: list[_Word], text: str) -> list[list[_Word]]:
    """Return each series of two or more words in capitals that no lower-case word interrupts."""
    series: list[list[_Word]] = [[]]
    for word in words:
        in_capitals = word.mark == UPPER or (word.mark is not None and word.is_letter)
        if series[-1] and re.search(_CASED, text[series[-1][-1].end : word.start]):
            series.append([])
        if in_capitals:
            series[-1].append(word)
        else:
            series.append([])
    return [span for words in series if len(span := _trimmed(words, text)) > 1]


_CASED = re.compile(_LETTERS)


def _trimmed(span: list[_Word], text: str) -> list[_Word]:
    """Return a series of words in capitals without single letters at its ends.

    An example is the "I" of "the USA I saw". A letter is kept if it is the first or last word of
    the text, or if no space separates it from the series. If the series consists only of single
    letters, return an empty list.
    """
    if all(word.is_letter for word in span):
        return []
    first, last = 0, len(span)
    if _CASED.search(text[: span[0].start]):
        while span[first].is_letter and " " in text[span[first].end : span[first + 1].start]:
            first += 1
    if _CASED.search(text[span[-1].end :]):
        while span[last - 1].is_letter and " " in text[span[last - 2].end : span[last - 1].start]:
            last -= 1
    return span[first:last]
