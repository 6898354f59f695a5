"""Protect parts of a text that must not be translated: placeholders, tags, URLs, numbers.

These parts are called marks. They are taken out of the source line before the search. After the
search, each mark is put into the translation. The attention weights decide where. Without
attention, the relative position in the source decides.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

MARK = re.compile(
    r"""
    (?:https?://|www\.)[^\s<>"']*[^\s<>"'.,;:!?)\]}]      # URLs
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+                        # e-mail addresses
    | \$?\{\{?[^{}\s]*\}?\}                               # {0}, {name:.2f}, ${x}, {{x}}
    | %(?:\d+\$|\([\w.]+\))?[-+#0]*\d*(?:\.\d+)?[sdifFeEgGxXcuor@](?!\w)  # %s, %1$s, %(name)s
    | </?[A-Za-z][^<>]*>                                  # <b>, </b>, <br/>
    | (?<![\w.,])[-+]?\d+(?:[.,:/\-]\d+)*%?(?!\w)         # numbers
    """,
    re.VERBOSE,
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)[^<>]*?(/?)>$")
_CLOSING = tuple(".,;:!?…)]}»”’。，、！？；：）」")
_OPENING = tuple("([{«“‘¿¡（「")
_DECAY = 0.6  # weight of a piece relative to its neighbour that is closer to the mark
_FAR_SIDE = 0.3  # weight of the side that a mark is not glued to, if it is glued to the other side


@dataclass(frozen=True)
class Mark:
    """A protected text, such as a tag or a number, that was taken out of a line.

    text: the protected text. Several such texts without words between them form one mark.
    at: the position of the mark in the line without marks, in characters.
    glued: whether a word touches the mark on the left, and whether a word touches it on the right.
    """

    text: str
    at: int
    glued: tuple[bool, bool]


def remove_marks(text: str) -> tuple[str, list[Mark]]:
    """Return a text without its protected marks, such as tags and numbers, and the marks in order.

    White space next to a mark is removed if another space or punctuation follows.
    """
    clean, end = "", 0
    marks: list[Mark] = []
    for start, stop in [*_groups(text), (len(text), len(text))]:
        clean = _append(clean, text[end:start])
        if marks and text[end:start].startswith(_CLOSING):
            bare = len(clean) - (start - end)
            marks[-1] = replace(marks[-1], at=min(marks[-1].at, bare))
        if start == len(text):
            break
        before, after = text[:start][-1:], text[stop:][:1]
        glued = (
            bool(before.strip()) and before not in _OPENING,
            bool(after.strip()) and after not in _CLOSING,
        )
        marks.append(Mark(text[start:stop], len(clean), glued))
        end = stop
    clean = clean.rstrip()
    return clean, [replace(mark, at=min(mark.at, len(clean))) for mark in marks]


def _groups(text: str) -> list[tuple[int, int]]:
    """Return the start and the end of each group of protected marks (tags, placeholders) in a text.

    Marks that are separated by white space alone form one group.
    """
    groups: list[tuple[int, int]] = []
    for match in MARK.finditer(text):
        if groups and not text[groups[-1][1] : match.start()].strip():
            groups[-1] = groups[-1][0], match.end()
        else:
            groups.append(match.span())
    return groups


def _append(clean: str, text: str) -> str:
    if text.startswith(_CLOSING):
        return clean.rstrip() + text
    return clean + (text.lstrip() if not clean or clean[-1].isspace() else text)


def count_differences(marks: Sequence[Mark], text: str) -> list[str]:
    """Return the protected marks that occur more or less often in a text than in the source."""
    wanted = Counter(match[0] for mark in marks for match in MARK.finditer(mark.text))
    found = Counter(match[0] for match in MARK.finditer(text))
    return [mark for mark in wanted | found if wanted[mark] != found[mark]]


def even_weights(targets: int, sources: int) -> np.ndarray:
    """Return weights [T, S] that replace attention weights for a model without attention.

    Each target subword has most weight on the source subword at the same relative position.
    """
    if not (targets and sources):
        return np.zeros((targets, sources))
    rows = (np.arange(targets) + 0.5)[:, None] / targets
    columns = (np.arange(sources) + 0.5)[None, :] / sources
    weights = np.exp(-(((rows - columns) * max(targets, sources) / 1.5) ** 2))
    total: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return total


def place_marks(
    text: str,
    marks: Sequence[Mark],
    gaps: Sequence[int],
    weights: np.ndarray,
    starts: Sequence[int],
    *,
    spaced: bool,
) -> str:
    """Return a translation with the protected marks, such as tags, of the source inserted.

    text: the translation without marks.
    gaps: for each mark, the number of source subwords before it.
    weights: [T, S], the attention of each target subword to the source subwords.
    starts: [T], where the text of each target subword starts, in characters.
    spaced: put marks only between words.

    Each mark goes to the position that little attention crosses. Attention crosses a position if it
    goes from a target subword before the position to a source subword after the mark, or from a
    target subword after the position to a source subword before the mark. Source subwords close to
    the mark count most.
    """
    places = _places(text, starts, spaced=spaced)
    at = np.array(starts)  # [T]
    offsets = []
    for mark, gap in zip(marks, gaps, strict=True):
        distance = np.arange(weights.shape[1]) - gap
        after = weights @ np.where(distance >= 0, _DECAY ** np.abs(distance), 0)  # [T]
        before = weights @ np.where(distance < 0, _DECAY ** (np.abs(distance) - 1), 0)
        if mark.glued == (False, True):
            before *= _FAR_SIDE
        elif mark.glued == (True, False):
            after *= _FAR_SIDE
        even = len(text) * gap / max(weights.shape[1], 1)
        costs = [
            after[at < place].sum() + before[at >= place].sum() + 1e-4 * abs(place - even)
            for place in places
        ]
        offsets.append(places[int(np.argmin(costs))])
    return _insert(text, marks, _close_tags(marks, offsets, places))


def _places(text: str, starts: Sequence[int], *, spaced: bool) -> list[int]:
    if not spaced:
        return sorted({0, *starts, len(text)})
    places = {0, len(text.rstrip(" "))}
    for word in re.finditer(r"\S+", text):
        places.add(word.start())
        bare = len(word[0].rstrip("".join(_CLOSING)))
        if 0 < bare < len(word[0]):
            places.add(word.start() + bare)
    return sorted(places)


def _close_tags(marks: Sequence[Mark], offsets: list[int], places: list[int]) -> list[int]:
    """Return the positions of protected marks, with each closing tag after its opening tag.

    A closing tag that is not after its opening tag moves to the next possible position.
    """
    moved, open_tags = list(offsets), dict[str, list[int]]()
    for number, mark in enumerate(marks):
        tag = _TAG.match(mark.text)
        if tag is None or tag[3]:
            continue
        if not tag[1]:
            open_tags.setdefault(tag[2], []).append(number)
        elif open_tags.get(tag[2]):
            start = moved[open_tags[tag[2]].pop()]
            if moved[number] <= start:
                moved[number] = next((place for place in places if place > start), start)
    return moved


def _insert(text: str, marks: Sequence[Mark], offsets: Sequence[int]) -> str:
    """Insert protected marks into a text at the given positions, with spaces as in the source."""
    order = sorted(range(len(marks)), key=lambda number: offsets[number])  # stable
    output, end = "", 0
    glue_next = False  # whether the mark before is glued to what follows
    for number in order:
        mark, offset = marks[number], offsets[number]
        output = _with(output, text, end, offset, glue_next)
        left, right = mark.glued
        if left and not (right and output.endswith(_OPENING)):
            output = output.rstrip() + mark.text
        elif not output or output.endswith((" ", *_OPENING)):
            output += mark.text
        else:
            output += f" {mark.text}"
        end = offset
        glue_next = right and not (left and text[offset - 1 : offset] == " ")
    return _with(output, text, end, len(text), glue_next).rstrip()


def _with(output: str, text: str, start: int, end: int, glued: bool) -> str:
    following = text[start:end]
    inside = start > 0 and not text[start - 1].isspace()  # before punctuation, not before a word
    if not output or not following or glued or following[0].isspace():
        return output + following
    if inside and following.startswith(_CLOSING):
        return output + following
    return f"{output} {following}"
