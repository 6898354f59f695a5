"""Put the inline tags of a sentence into its translation.

An element such as <b>...</b> encloses the target words that are aligned to its source words. All
elements stay properly nested. The alignment comes from attention. Without attention, the relative
position in the sentence decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from seq2seq.decoding.alignment import Alignment

_WORD = re.compile(r"\S+")
_CHARACTER = re.compile(r"\S")
_PUNCTUATION = ".,;:!?…)]}»”’\"'。，、！？；：）」"
_OPENING = "([{«“‘\"'¿¡（「"


@dataclass
class InlineElement:
    """An inline HTML element, such as <b>...</b>, or a single tag, such as <br>, in a sentence.

    raw: the start tag, and the end tag. The end tag of a single tag is "".
    start, end: where its content starts and ends in the sentence, in characters. They are the same
        for a single tag.
    glued: for a single tag: whether a word touches it on the left, and on the right.
    children: the elements inside, in order.
    """

    raw: tuple[str, str]
    start: int
    end: int
    glued: tuple[bool, bool] = (False, False)
    children: list[InlineElement] = field(default_factory=list)

    @property
    def tags(self) -> str:
        """The tags of the element and of the elements inside, without text."""
        return self.raw[0] + "".join(child.tags for child in self.children) + self.raw[1]


@dataclass(frozen=True)
class _Sentences:
    """A sentence and its translation, with the positions [start, end) of their words.

    link: for each target word, the number of the source word that it is aligned to.
    """

    source: str
    target: str
    source_words: list[tuple[int, int]]
    target_words: list[tuple[int, int]]
    link: list[int]


def place_elements(
    elements: Sequence[InlineElement],
    source: str,
    target: str,
    alignment: Alignment | None,
    *,
    spaced: tuple[bool, bool] = (True, True),
) -> str:
    """Insert the inline elements of a sentence into its translation. Return the result as HTML.

    elements: the elements of the source, in order.
    source, target: the sentence and its translation, as plain text.
    alignment: their alignment, or None.
    spaced: whether the source language puts spaces between words, and whether the target does.
    """
    words = [
        [match.span() for match in (_WORD if flag else _CHARACTER).finditer(text)]
        for text, flag in zip((source, target), spaced, strict=True)
    ]
    if not (words[0] and words[1]):
        return "".join(element.tags for element in elements) + escape(target, quote=False)
    size, count = len(words[0]), len(words[1])
    link = [int((place + 0.5) * size / count) for place in range(count)]
    if alignment is not None and all(spaced):
        for of_source, of_target in alignment.hard():
            if of_target < count and of_source < size:
                link[of_target] = of_source
    sentences = _Sentences(source, target, words[0], words[1], link)
    inserts: list[tuple[int, str]] = []
    _place(elements, (0, count), sentences, inserts)
    output, end = [], 0
    for at, raw in inserts:
        at = max(at, end)
        output += [escape(target[end:at], quote=False), raw]
        end = at
    return "".join([*output, escape(target[end:], quote=False)])


def _place(
    elements: Sequence[InlineElement],
    room: tuple[int, int],
    sentences: _Sentences,
    inserts: list[tuple[int, str]],
) -> None:
    """Append the tags of elements to `inserts`, each with its position in the translation.

    room: the range [first, last) of target words that the elements may enclose.
    """
    ranges = [(_target_range(element, room, sentences), element) for element in elements]
    ranges.sort(key=lambda pair: pair[0][0])  # stable
    free = room[0]
    for (first, last), element in ranges:
        first = min(max(first, free), room[1])
        has_text = element.end > element.start
        last = min(max(last, first + has_text), room[1])
        if not has_text or first == last:
            _place_single(element, first, sentences, inserts)
            continue
        opening, closing = _edges(element, first, last, sentences)
        inserts.append((opening, element.raw[0]))
        _place(element.children, (first, last), sentences, inserts)
        inserts.append((closing, element.raw[1]))
        free = last


def _target_range(
    element: InlineElement, room: tuple[int, int], sentences: _Sentences
) -> tuple[int, int]:
    """Return the range [first, last) of target words that are aligned to an element's words.

    room: the range of target words to choose from.
    """
    words = sentences.source_words
    covered = {i for i, (s, e) in enumerate(words) if s < element.end and e > element.start}
    before = sum(end <= element.start for _, end in words)
    if covered:
        best: list[int] = []
        run: list[int] = []
        for place in range(*room):
            if sentences.link[place] in covered:
                if run and place - run[-1] > 2:
                    run = []
                run.append(place)
                best = max(best, run, key=len) if run is not best else run
        if best:
            return best[0], best[-1] + 1
    place = round(before * len(sentences.target_words) / len(words))
    return place, place + bool(covered)


def _edges(element: InlineElement, first: int, last: int, sentences: _Sentences) -> tuple[int, int]:
    """Return the positions of an element's start and end tags in the characters of a translation.

    Punctuation that touches the element in the source stays outside.
    """
    source, target = sentences.source, sentences.target
    opening, closing = sentences.target_words[first][0], sentences.target_words[last - 1][1]
    if source[element.end : element.end + 1] in tuple(_PUNCTUATION):
        bare = target[opening:closing].rstrip(_PUNCTUATION)
        closing = opening + len(bare) if bare else closing
    if source[: element.start][-1:] in tuple(_OPENING):
        bare = target[opening:closing].lstrip(_OPENING)
        opening = closing - len(bare) if bare else opening
    return opening, closing


def _place_single(
    element: InlineElement, place: int, sentences: _Sentences, inserts: list[tuple[int, str]]
) -> None:
    """Append an element without content to `inserts`. It goes before target word `place`."""
    words, (left, right) = sentences.target_words, element.glued
    raw = element.tags
    if place and (place == len(words) or (left and not right)):
        inserts.append((words[place - 1][1], raw if left else f" {raw}"))
    else:
        inserts.append((words[place][0], raw if right else f"{raw} "))
