"""Count changed lines and unknown tokens of a corpus, and add copies in capitals."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.config.section import Side
from seq2seq.errors import counted
from seq2seq.text.code_points import look_alike, quote_token
from seq2seq.text.codec import Codec
from seq2seq.text.corpus import locate_example
from seq2seq.text.example import Example
from seq2seq.text.memory import MemoryData
from seq2seq.text.normalization import normalize_text, symbol_pattern, text_sides
from seq2seq.text.open_vocabulary import close_ids

if TYPE_CHECKING:  # pyarrow is not installed where exports alone are run
    from seq2seq.text.dataset import Dataset

_log = logging.getLogger(__name__)

_EXAMPLES = 5  # unknown tokens to name
_LINES = 1000  # examples that are searched for unknown tokens
_SHARE = "%s, %s: %s of %s (%s %%) are not in the vocabulary%s: %s"


@dataclass
class _Change:
    """The effect of a normalisation on the source or the target of the training set.

    lines: the number of lines that the normalisation changes.
    row: the number of the first changed line, counted from 1.
    before: the first changed line before the normalisation.
    after: the first changed line after the normalisation.
    """

    lines: int = 0
    row: int = 0
    before: str = ""
    after: str = ""


class NormalizationCount:
    """A counter of the training lines that are changed by normalisation.

    Source lines and target lines are counted separately.
    """

    def __init__(self, config: Config) -> None:
        self._data = config.data
        self._rules = {side: config.tokenizer.normalization_of(side) for side in text_sides(config)}
        self._changes = {side: _Change() for side in self._rules}
        self._read = 0

    def count(self, examples: Iterable[Example]) -> Iterator[Example]:
        """Yield the examples, and count the lines that the normalisation changes."""
        rules = [(side, rule) for side, rule in self._rules.items() if rule != "identity"]
        for number, example in enumerate(examples, start=1):
            for side, rule in rules:
                line = getattr(example, side)
                after = normalize_text(line, rule)
                if after != line:
                    change = self._changes[side]
                    change.lines += 1
                    if change.lines == 1:
                        change.row, change.before, change.after = number, line, after
            self._read = number
            yield example

    def report(self, memory: MemoryData | None) -> None:
        """Log how many source and target lines the normalisation changes, with an example."""
        for side, change in self._changes.items():
            if change.lines:
                _log.info(
                    "normalisation (%s) changes %s of %s %s lines; for example, %s: %s becomes %s",
                    self._rules[side],
                    f"{change.lines:,}",
                    f"{self._read:,}",
                    side,
                    locate_example(self._data, side, change.row, memory),
                    *_shown_change(change.before, change.after),
                )


def _shown_change(before: str, after: str) -> tuple[str, str]:
    """Return the parts of two lines around their first difference, in quotation marks.

    If the lines look alike, all characters outside ASCII are escaped.
    """
    pairs = zip(before, after, strict=False)
    at = next((i for i, (one, other) in enumerate(pairs) if one != other), len(after))
    part = slice(max(0, at - 10), at + 20)
    show = ascii if look_alike(before, after) else repr
    return show(before[part]), show(after[part])


def add_capitals(
    examples: Iterable[Example], config: Config, counts: Counter[str]
) -> Iterator[Example]:
    """Yield all examples, and for a fraction of them also a copy in capital letters.

    The fraction is `tokenizer.capitals`. The copies teach a model with `tokenizer.case = "marked"`
    to translate capitals into capitals. Without case marks, or for a task whose source is not text,
    there are no copies.

    counts: receives the number of copies under the key "in capitals".
    """
    fraction, sides = config.tokenizer.capitals, text_sides(config)
    wanted = config.tokenizer.case == "marked" and "source" in sides
    symbols = symbol_pattern(config.tokenizer.symbols)

    def in_capitals(text: str) -> str:
        parts = symbols.split(text) if symbols else [text]
        parts[::2] = [part.upper() for part in parts[::2]]
        return "".join(parts)

    for number, example in enumerate(examples):
        yield example
        if wanted and int((number + 1) * fraction) > int(number * fraction):
            source, target = (
                in_capitals(text) if side in sides else text
                for side, text in (("source", example.source), ("target", example.target))
            )
            copy = example._replace(source=source, target=target)
            if copy != example:
                counts["in capitals"] += 1
                yield copy


def report_unknown_tokens(dataset: Dataset, codec: Codec, config: Config, name: str) -> None:
    """Log how many tokens of a data set are not in the vocabulary. Name some of these tokens.

    name: the name of the data set in the message.
    """
    for side in text_sides(config):
        columns = [values for _, values in dataset.columns(side)]
        unknown = sum(int(np.count_nonzero(_unknown(codec, side, part))) for part in columns)
        if not unknown:
            continue
        total = sum(map(len, columns))
        rows = enumerate(dataset.examples())
        lines = ((getattr(one, side), dataset.ids(row, side)) for row, one in rows)
        named = _unknown_examples(lines, codec, side)
        _log.info(_SHARE, name, side, *_share(unknown, total), " and become <unk>", named)


def report_unwritable(examples: Iterable[Example], codec: Codec, name: str) -> None:
    """Log how many tokens of the references the model cannot write, and name some of them.

    These are the tokens that are not in the target vocabulary and cannot be copied from the source.

    name: the name of the data set in the message.
    """
    written = [
        example._replace(target=target)
        for example in examples
        for target in (example.target, *example.references)
    ]
    encoded = [np.asarray(ids, np.int64) for ids in codec.encode(written)["target"]]
    unknown = sum(int(np.count_nonzero(_unknown(codec, "target", ids))) for ids in encoded)
    if unknown:
        lines = zip((example.target for example in written), encoded, strict=True)
        share = _share(unknown, sum(map(len, encoded)))
        end = ", so the model cannot write them"
        named = _unknown_examples(lines, codec, "target")
        _log.info(_SHARE, name, "target", *share, end, named)


def _share(number: int, total: int) -> tuple[str, str, str]:
    """Return a number of tokens, a total, and the number as a percentage of it, for `_SHARE`."""
    share = 100 * number / total
    digits = np.format_float_positional(share, precision=2, fractional=False, trim="-")
    return f"{number:,}", counted(total, "token"), digits


def _unknown(codec: Codec, side: Side, ids: np.ndarray) -> np.ndarray:
    """Return which ids stand for <unk>. In a target, higher ids stand for copied tokens."""
    unknown = codec.target.unk if side == "target" else codec.source.unk
    if side == "target" and codec.actions:
        ids = np.array(codec.written(ids.tolist()), np.int64)
    same: np.ndarray = (close_ids(ids, *codec.open_source) if side == "source" else ids) == unknown
    return same


def _unknown_examples(lines: Iterable[tuple[str, np.ndarray]], codec: Codec, side: Side) -> str:
    """Return a text that names some tokens that are not in the vocabulary.

    Only the first `_LINES` lines with such tokens are searched, so there may be none to name.

    lines: the text of each line, and its ids.
    """
    tokenizer = codec.source if side == "source" else codec.target
    names: dict[str, None] = {}
    searched = 0
    for text, ids in lines:
        if not _unknown(codec, side, ids).any():
            continue
        names |= dict.fromkeys(tokenizer.unknown_tokens(text))
        searched += 1
        if len(names) >= _EXAMPLES or searched == _LINES:
            break
    examples = ", ".join(map(quote_token, list(names)[:_EXAMPLES]))
    return f"for example {examples}" if examples else "see tokenizer.vocabulary"
