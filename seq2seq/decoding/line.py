"""A source line on its way: whole, or cut into parts that the model can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seq2seq.decoding.search import Hypothesis


@dataclass
class Line:
    """A source line on its way: its parts (a line too long has several) and what they became."""

    text: str
    parts: list[np.ndarray]
    joints: list[str]  # what stands between the translations of two parts
    found: dict[int, list[Hypothesis]] = field(default_factory=dict)
    attended: dict[int, np.ndarray] = field(default_factory=dict)  # by the best of `found`

    def joined(self, texts: Sequence[str]) -> str:
        """The translations of all parts as one text."""
        return "".join(map("".join, zip(texts, [*self.joints, ""], strict=True)))


def split(ids: list[int], pieces: list[str], longest: int) -> tuple[list[np.ndarray], list[str]]:
    """Cut ids into parts of at most `longest`: after the end of a sentence where one is in the
    second half of a part, else between two words, else anywhere.

    Gives the parts and what stands between two of them: a space, or nothing inside a word.
    """
    parts, joints = [], []
    start = 0
    while len(ids) - start > longest:
        window = range(start + longest, start + longest // 2, -1)
        words = [at for at in window if pieces[at].startswith("▁")]
        sentences = [at for at in words if pieces[at - 1].endswith((".", "!", "?", "。", "…"))]
        end = (sentences or words or [start + longest])[0]
        parts.append(np.asarray(ids[start:end], np.int64))
        joints.append(" " if words else "")
        start = end
    parts.append(np.asarray(ids[start:], np.int64))
    return parts, joints
