"""Encode labels and vectors as numbers, for classifiers, taggers and generators."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from seq2seq.config.tokenizer_section import LARGEST_VOCABULARY
from seq2seq.errors import UserError, counted, did_you_mean
from seq2seq.tasks import Task
from seq2seq.text.example import Example


class LabelSet:
    """A fixed set of labels in alphabetical order (by code point), numbered from 0.

    A line of text contains one or more labels, separated by single spaces. So a label cannot
    contain a space.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Create the set from label names. Raises UserError if it has fewer than two labels."""
        self.names = sorted(set(names))
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self.names) < 2:
            raise UserError(
                f"there is only one label, {self.names[0]!r}; give data with at least two labels"
                if self.names
                else "there are no labels; give data with at least two labels"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelSet) and self.names == other.names

    def __hash__(self) -> int:
        return hash(tuple(self.names))

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Return the numbers of the labels in each line. Raises UserError for an unknown label."""
        return [[self.index(name) for name in line.split(" ")] for line in lines]

    def index(self, name: str) -> int:
        """Return the number of a label, from 0. Raises UserError for an unknown label."""
        try:
            return self._numbers[name]
        except KeyError:
            shown = ", ".join(self.names[:20]) + (", ..." if len(self) > 20 else "")
            raise UserError(
                f"unknown label {name!r}{did_you_mean(name, self.names)}; the labels are: {shown}"
            ) from None

    def to_bytes(self) -> bytes:
        """Return the content of a file with one label per line, in UTF-8."""
        return "".join(f"{name}\n" for name in self.names).encode()

    @classmethod
    def from_bytes(cls, text: bytes, where: str = "the labels") -> LabelSet:
        """Read the labels from the file content that `to_bytes` returned.

        Raises UserError, naming `where`, for more than 500,000 labels or fewer than two.
        """
        if (count := text.count(b"\n")) > LARGEST_VOCABULARY:
            raise UserError(
                f"{where}: there are {count:,} labels, but at most {LARGEST_VOCABULARY:,} are "
                "allowed"
            )
        try:
            return cls(text.decode("utf-8", "replace").split("\n")[:-1])
        except UserError as error:
            raise UserError(f"{where}: {error}") from None


class VectorFormat:
    """The text format of vectors, which a generator can read instead of labels.

    The text is a list of numbers ("0.5 -1 2"), or a colour such as "#c93f38". The red, green and
    blue of a colour become numbers from 0 to 1. An encoded vector is a list of integers in units of
    1e-6.
    """

    unit = 1e-6
    _largest = 2000.0

    def __init__(self, count: int) -> None:
        """Create a format for vectors of `count` numbers."""
        self.count = count

    def __len__(self) -> int:
        return self.count

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """Return the vector in each line, as integers. Raises UserError for an invalid vector."""
        return [self._parsed(line) for line in lines]

    def _parsed(self, line: str) -> list[int]:
        if re.fullmatch("#[0-9a-fA-F]{6}", line):
            values = [byte / 255 for byte in bytes.fromhex(line[1:])]
        else:
            try:
                values = [float(word) for word in line.split()]
            except ValueError:
                values = []
        fit = all(abs(value) <= self._largest for value in values)
        if len(values) != self.count or not fit:
            colour = ", or a colour (#c93f38)" if self.count == 3 else ""
            raise UserError(
                f"{line!r} is not a vector of size {self.count}: write {self.count} numbers from "
                f"-2000 to 2000, separated by spaces{colour}"
            )
        return [round(value / self.unit) for value in values]


def label_column(task: Task) -> str | None:
    """Return the column that holds labels or vectors, "source" or "target".

    Return None for a task without labels and vectors.
    """
    return None if task.label_side is None else ("source", "target")[task.label_side]


def check_label_count(task: Task, example: Example) -> None:
    """Check that an example has the right number of labels: one per text, or one per word.

    Do nothing for a task without labels. Raises UserError for a wrong number of labels.
    """
    column = label_column(task)
    if column is None:
        return
    line, text = example.source, example.target
    if column == "target":
        line, text = text, line
    expected = len(text.split(" ")) if task.labels_each_word else 1
    if len(line.split(" ")) != expected:
        number = counted(expected, "label")
        place = f" for {text[:60]!r}" if text else ""
        raise UserError(
            f"expected {number}{place}, but found {line!r}; separate labels by a single space, and "
            "use no space inside a label"
        )


def encode_words(
    encode: Callable[[Sequence[str]], list[list[int]]], lines: Sequence[str], eos: int
) -> list[list[int]]:
    """Encode each word separately, followed by EOS, so that no subword spans two words."""
    return [[i for word in encode(line.split(" ")) for i in (*word, eos)] for line in lines]
