"""A source line on its way: whole, or cut into parts that the model can take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from seq2seq.decoding.stepping import Hypothesis


@dataclass
class SourceLine:
    """A source line on its way: its parts (a line too long has several) and what they became.
    One without a part becomes its text."""

    text: str
    parts: list[np.ndarray]
    joints: list[str]  # what stands between the translations of two parts
    hypotheses: dict[int, list[Hypothesis]] = field(default_factory=dict)
    attention: dict[int, np.ndarray] = field(default_factory=dict)  # by the best of `found`

    def join(self, texts: Sequence[str]) -> str:
        """The translations of all parts as one text."""
        return "".join(map("".join, zip(texts, [*self.joints, ""], strict=True)))


def split_line(
    ids: list[int], pieces: list[str], longest: int, *, spaced: tuple[bool, bool] = (True, True)
) -> tuple[list[np.ndarray], list[str]]:
    """Cut ids into parts of at most `longest`: after the end of a sentence where one is in the
    second half of a part, else between two words, else anywhere.

    spaced: whether spaces part the words of the source, and of the target. Gives the parts and what
    stands between the translations of two: a space, or nothing inside a word, and nothing where
    the target has no spaces.
    """
    parts, joints = [], []
    start = 0
    while len(ids) - start > longest:
        window = range(start + longest, start + longest // 2, -1)
        words = [at for at in window if pieces[at].startswith("▁")]
        sentences = [at for at in words if pieces[at - 1].endswith((".", "!", "?", "…"))]
        sentences += [at for at in window if pieces[at - 1].endswith(("。", "！", "？"))]
        end = max(sentences or words or [start + longest])
        parts.append(np.asarray(ids[start:end], np.int64))
        inside = spaced[0] and not pieces[end].startswith("▁")
        joints.append(" " if spaced[1] and not inside else "")
        start = end
    parts.append(np.asarray(ids[start:], np.int64))
    return parts, joints
