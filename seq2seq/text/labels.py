"""A closed set of labels: what a text is, what a word is, what a text is to be written for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seq2seq.errors import UserError, did_you_mean


class LabelSet:
    """Labels, numbered from 0 in the order of their characters.

    A line holds one label or several, parted by single spaces; so a label holds no space.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Raises UserError where there are fewer than two: nothing could be told apart."""
        self.names = sorted(set(names))
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self.names) < 2:
            raise UserError(
                f"there is only one label, {self.names[0]!r}: nothing can be told apart"
                if self.names
                else "there are no labels: nothing can be learned"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LabelSet) and self.names == other.names

    def __hash__(self) -> int:
        return hash(tuple(self.names))

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The numbers of the labels of each line. Raises UserError for one that is none of them."""
        return [[self.index(name) for name in line.split(" ")] for line in lines]

    def index(self, name: str) -> int:
        """Raises UserError for a label that is none of these."""
        try:
            return self._numbers[name]
        except KeyError:
            shown = ", ".join(self.names[:20]) + (", ..." if len(self) > 20 else "")
            raise UserError(
                f"no label {name!r}{did_you_mean(name, self.names)}; there are: {shown}"
            ) from None

    def to_bytes(self) -> bytes:
        """As a file: one a line."""
        return "".join(f"{name}\n" for name in self.names).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> LabelSet:
        """What `to_bytes` gave."""
        return cls(text.decode("utf-8", "replace").split("\n")[:-1])


class VectorFormat:
    """A vector in the place of labels: numbers parted by spaces ("0.5 -1 2"), or a colour
    ("#c93f38": red, green and blue from 0 to 1). Kept in millionths, as whole numbers."""

    unit = 1e-6
    _largest = 2000.0

    def __init__(self, count: int) -> None:
        """count: numbers in a vector."""
        self.count = count

    def __len__(self) -> int:
        return self.count

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The numbers of each line. Raises UserError for what is none."""
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
                f"{line!r} is no vector of {self.count}: write numbers from -2000 to 2000 with "
                f"spaces between them{colour}"
            )
        return [round(value / self.unit) for value in values]
