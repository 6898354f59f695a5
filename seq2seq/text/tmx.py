"""Read examples from TMX, the XML format of translation memories (TMX 1.4b, LISA 2005)."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

from seq2seq.errors import UserError
from seq2seq.text.columns import Columns
from seq2seq.text.example import Example
from seq2seq.text.lines import open_input
from seq2seq.text.values import say_once

_log = logging.getLogger(__name__)

_CHUNK = 1 << 16  # bytes that are parsed at a time
_LONGEST = 1 << 20  # characters of a segment
_DEEPEST = 100  # elements inside each other
_CODES = ("bpt", "ept", "ph", "it", "ut", "sub")  # inline elements that hold formatting codes
_INLINE = (*_CODES, "hi")
_AT_THE_ENDS = re.compile(r"^\s*\n\s*|\s*\n\s*$")  # XML files often begin a segment on a new line
_LINE_END = re.compile(r"\s*[\r\n]\s*")


def read_tmx(path: Path, columns: Columns) -> Iterator[Example]:
    """Yield the examples of a TMX file: one for each translation unit that has both languages.

    Units without one of the languages are left out. Inline tags are removed. The text inside `hi`
    elements is kept, but the content of other inline elements is formatting code and is removed. At
    the end, the numbers of left-out units and of changed segments are logged.

    White space with a line end becomes a single space. The file may be compressed and encoded in
    UTF-8 or UTF-16. A file that defines entities is refused, because entities could read other
    files or use unbounded memory.

    columns: The language codes of source and target. The code "en" also selects "en-US".
    Raises UserError for a file that is not valid TMX or has no unit in both languages.
    """
    names, parser = columns.names(str(path)), _Parser(path)
    languages: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for segments in parser.units():
        counts["units"] += 1
        languages.update(segments.keys())
        source, target = (_choose(segments, name) for name in names)
        if source is None or target is None:
            counts["missing"] += 1
            continue
        yield Example(source, target)
    if counts["missing"] == counts["units"]:
        known = ", ".join(sorted(languages)) or "none"
        advice = "set data.source and data.target to two of them"
        if not columns.key:
            advice = "give a file with the languages on which the model was trained"
        raise UserError(
            f"{path}: no translation unit has {' and '.join(dict.fromkeys(map(repr, names)))}; the "
            f"languages of the file are: {known}; {advice}"
        )
    if counts["missing"]:
        say_once(
            f"{path}: {counts['missing']:,} of {counts['units']:,} translation units lack one of "
            f"the languages {', '.join(names)} and are left out"
        )
    if parser.segments_with_tags:
        say_once(f"{path}: inline tags were removed from {parser.segments_with_tags:,} segments")


def _choose(segments: dict[str, str], wanted: str) -> str | None:
    """Return the segment in the wanted language, or None.

    If there is no exact match, "en" also selects a segment in "en-US". If there is none either,
    "en-US" also selects a segment in "en".
    """
    code = wanted.lower().replace("_", "-")
    by_code = {language.lower().replace("_", "-"): text for language, text in segments.items()}
    if code in by_code:
        return by_code[code]
    for language, text in by_code.items():
        if language.startswith(f"{code}-"):
            return text
    return next(
        (text for language, text in by_code.items() if code.startswith(f"{language}-")), None
    )


class _Parser:
    """A streaming parser of TMX.

    segments_with_tags: The number of segments from which inline tags were removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.segments_with_tags = 0
        self._open: list[str] = []  # the names of the elements around the current position
        self._done: list[dict[str, str]] = []  # the finished units that were not yielded yet
        self._unit: dict[str, str] = {}
        self._language = ""
        self._text: list[str] | None = None  # the pieces of the current segment
        self._length = 0
        self._tagged = False
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._refuse_entity
        self._parser.buffer_text = True

    def units(self) -> Iterator[dict[str, str]]:
        """Yield the segments of each translation unit, by language code."""
        try:
            with open_input(self.path) as stream:
                while chunk := stream.read(_CHUNK):
                    self._parser.Parse(chunk, False)
                    yield from self._done
                    self._done.clear()
                self._parser.Parse(b"", True)
                yield from self._done
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise UserError(
                f"{self.path}:{error.lineno}: not valid XML ({reason}); export the file again"
            ) from None
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read: {error.strerror or error}") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self._open and name != "tmx":
            raise self._error(f"the root element is {name!r}, not 'tmx'; give a TMX file")
        self._open.append(name)
        if len(self._open) > _DEEPEST:
            raise self._error(f"more than {_DEEPEST} elements inside each other; fix the file")
        if name == "tu":
            self._unit = {}
        elif name == "tuv":
            self._language = attributes.get("xml:lang") or attributes.get("lang") or ""
            if not self._language:
                raise self._error("the element tuv has no attribute xml:lang; add the language")
        elif name == "seg":
            self._text, self._length, self._tagged = [], 0, False
        elif name in _INLINE:
            self._tagged = True

    def _end(self, name: str) -> None:
        self._open.pop()
        if name == "seg" and self._text is not None:
            text = _AT_THE_ENDS.sub("", "".join(self._text))
            text = _LINE_END.sub(" ", text)
            self._unit.setdefault(self._language, text)
            self.segments_with_tags += self._tagged
            self._text = None
        elif name == "tu":
            self._done.append(self._unit)

    def _characters(self, text: str) -> None:
        if self._text is None or any(name in _CODES for name in self._open):
            return
        self._length += len(text)
        if self._length > _LONGEST:
            raise self._error(f"a segment has more than {_LONGEST:,} characters; split it")
        self._text.append(text)

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise self._error(f"the file defines the entity {name!r}, which is not safe; remove it")

    def _error(self, problem: str) -> UserError:
        return UserError(f"{self.path}:{self._parser.CurrentLineNumber}: {problem}")
