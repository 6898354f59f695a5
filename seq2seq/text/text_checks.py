"""Look for likely mistakes in the text of a corpus. Report each kind once, with its first line."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from seq2seq.config.schema import Config
from seq2seq.config.section import SIDES, Side
from seq2seq.errors import counted
from seq2seq.text.corpus import locate_example
from seq2seq.text.example import Example
from seq2seq.text.memory import MemoryData
from seq2seq.text.normalization import UNICODE_FORMS, text_sides

_log = logging.getLogger(__name__)

_LONGEST_SYMBOL = 4  # code points; a longer line without a separator is hardly a single symbol
_ONE_FORM = (*UNICODE_FORMS, "nmt_nfkc")  # normalisations with one form of each character


@dataclass
class _Finding:
    """Examples with the same problem.

    number: the number of these examples.
    row: the row number of the first of these examples, counted from 1.
    line: the text of the first of these examples.
    """

    number: int = 0
    row: int = 0
    line: str = ""

    def add(self, row: int, line: str) -> None:
        self.number += 1
        if self.number == 1:
            self.row, self.line = row, line


@dataclass
class _SideCheck:
    """The results of the checks of the source or of the target.

    separator: the string between symbols; None for other tokens.
    composed: the characters that occur in the composed form (NFC).
    decomposed: the characters that occur in another form.
    """

    separator: str | None
    compare_forms: bool
    separated: bool = False
    empty_symbols: _Finding = field(default_factory=_Finding)
    unseparated: _Finding = field(default_factory=_Finding)
    not_nfc: _Finding = field(default_factory=_Finding)
    composed: set[str] = field(default_factory=set)
    decomposed: set[str] = field(default_factory=set)

    def add(self, row: int, line: str) -> None:
        if (separator := self.separator) is not None:
            if separator in line:
                self.separated = True
                if "" in line.split(separator):
                    self.empty_symbols.add(row, line)
            elif len(line) > _LONGEST_SYMBOL:
                self.unseparated.add(row, line)
        if self.compare_forms and not line.isascii():
            self._add_forms(row, line)

    def _add_forms(self, row: int, line: str) -> None:
        if not unicodedata.is_normalized("NFC", line):
            self.not_nfc.add(row, line)
            composed = unicodedata.normalize("NFC", line)
            self.decomposed |= {one for one in set(composed) - set(line) if _is_composed(one)}
        self.composed |= {one for one in set(line) if _is_composed(one)}


class TextCheck:
    """A checker that looks for likely mistakes in the training pairs."""

    def __init__(self, config: Config) -> None:
        self._config, self._empty, self._read = config, _Finding(), 0
        self._sides: dict[Side, _SideCheck] = {}
        for side in text_sides(config):
            settings = config.tokenizer.of(side)
            separator = settings.separator if settings.kind == "symbols" else None
            forms = settings.normalization not in _ONE_FORM
            self._sides[side] = _SideCheck(separator, forms)

    def check(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yield the examples, and record problems in their text."""
        has_source = self._config.task.has_source
        for row, example in enumerate(examples, start=1):
            if has_source and not (example.source.strip() and example.target.strip()):
                self._empty.add(row, "")
            else:
                for side, check in self._sides.items():
                    check.add(row, getattr(example, side))
            yield example

    def report(self, memory: MemoryData | None) -> None:
        """Log each problem once, with the number of its lines and the place of the first one."""

        def place(finding: _Finding, side: Side) -> str:
            return locate_example(self._config.data, side, finding.row, memory)

        if self._empty.number:
            _log.info(
                "%s: the source or the target is empty; such pairs are dropped (%s in total)",
                place(self._empty, "source"),
                f"{self._empty.number:,}",
            )
        for side, check in self._sides.items():
            name = f"the {side} of {{}}".format
            if check.unseparated.number and not check.separated:
                _log.warning(
                    "%s: no %s contains the separator %r, so each line is a single symbol, such "
                    "as %r; set tokenizer.%s.separator",
                    place(check.unseparated, side),
                    side,
                    check.separator,
                    check.unseparated.line[:40],
                    side,
                )
            if check.empty_symbols.number:
                _log.info(
                    "%s: %s has a separator at the start or the end, or two in a row; these "
                    "separators are left out, because a symbol cannot be empty",
                    place(check.empty_symbols, side),
                    name(counted(check.empty_symbols.number, "training pair")),
                )
            if both := sorted(check.composed & check.decomposed):
                _log.warning(
                    "%s: %s is not in Unicode NFC, but other text is, so the character %r occurs "
                    'in two forms; set tokenizer.%s.normalization = "nfc"',
                    place(check.not_nfc, side),
                    name(counted(check.not_nfc.number, "training pair")),
                    both[0],
                    side,
                )


def warn_of_empty_items(
    examples: Iterable[Example], config: Config, place: Callable[[Side, int], str]
) -> None:
    """Warn if the source or the target of items that are scored is empty. Name the first item.

    Such items stay in the set, because a score is comparable only if all lines count.

    examples: The items of a validation or test set.
    place: A function that returns the place of the source or target with a number, which counts
        from 1.
    """
    if not config.task.has_source:  # the text of a language model may have blank lines
        return
    total, empty, first = 0, 0, ""
    for total, example in enumerate(examples, start=1):
        for side in SIDES:
            if not getattr(example, side).strip():
                empty += 1
                first = first or place(side, total)
                break
    if empty:
        _log.warning(
            "%s: the source or the target is empty; such items count in the scores (%s of %s "
            "items); remove them if they should not count",
            first,
            f"{empty:,}",
            f"{total:,}",
        )


@cache
def _is_composed(character: str) -> bool:
    """Return whether a character is the NFC form of several code points."""
    parts = unicodedata.normalize("NFD", character)
    return parts != character and unicodedata.normalize("NFC", parts) == character
