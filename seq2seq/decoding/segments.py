"""The segments of a line, which are encoded alone, and their division into short parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seq2seq.text.codec import Codec


@dataclass(frozen=True)
class Segment:
    """A text that is encoded as a whole: the whole line, or one sentence of it.

    text: the text, with the prefix of the line. prefix: the number of tokens of the prefix, which
    each part of the segment repeats. words: the number in the line of the first word of `text`.
    own_prefix: how many words of the prefix stand in the line itself, at its start. prefix_words:
    how many words the prefix has.
    """

    text: str
    prefix: int = 0
    words: int = 0
    own_prefix: int = 0
    prefix_words: int = 0

    def piece_words(self, codec: Codec) -> list[int | None]:
        """Return the word of the line that each token belongs to; None for an added prefix."""
        numbers: list[int | None] = []
        for word in codec.source.piece_words(self.text):
            if word >= self.prefix_words:
                numbers.append(self.words + word - self.prefix_words)
            else:
                numbers.append(word if word < self.own_prefix else None)
        return numbers


def split_line(
    ids: list[int], pieces: list[str], longest: int, *, spaced: tuple[bool, bool] = (True, True)
) -> tuple[list[np.ndarray], list[str]]:
    """Split the token ids of a line into parts of at most `longest` tokens.

    A part ends after the last complete sentence, if a sentence ends in the second half of the part.
    Otherwise, the part ends after the last complete word, if a word ends there. Otherwise, the part
    ends after `longest` tokens.

    pieces: the subword piece of each id.
    spaced: whether the source language puts spaces between words, and whether the target language
    does.

    Returns the parts and the joints. A joint is the text between the translations of two
    neighbouring parts. It is a space, or "" if the line was split inside a word or if the target
    language is written without spaces.
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
