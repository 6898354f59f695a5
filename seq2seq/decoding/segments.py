"""Divide a line into segments that are encoded separately, and split long segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seq2seq.text.codec import Codec
from seq2seq.text.features import tokens_of


@dataclass(frozen=True)
class Segment:
    """A text that is encoded as a whole: the whole line, or one sentence of the line.

    If the segment is too long, it is translated in parts.

    text: the text, beginning with the prefix of the line (such as a language tag), if any.
    prefix: the number of tokens of the prefix, with which each part begins. The features of the
        line belong to the prefix.
    words: the number of the segment's first word within the line, counted from 0.
    own_prefix: the number of words of the prefix that the input line itself contains.
    prefix_words: the number of words of the prefix.
    features: the number of features in front of the tokens.
    """

    text: str
    prefix: int = 0
    words: int = 0
    own_prefix: int = 0
    prefix_words: int = 0
    features: int = 0

    def piece_words(self, codec: Codec) -> list[int | None]:
        """Return, for each token of the segment, the number of its word within the line, from 0.

        A token of a prefix that the input line does not contain has None, and so has a feature.
        """
        numbers: list[int | None] = [None] * self.features
        for word in codec.source.piece_words(self.text):
            if word >= self.prefix_words:
                numbers.append(self.words + word - self.prefix_words)
            else:
                numbers.append(word if word < self.own_prefix else None)
        return numbers


def source_pieces(source: np.ndarray, codec: Codec) -> list[str]:
    """Return the features in front of an encoded source, and its subword pieces."""
    size, names = len(codec.source), codec.features.names if codec.features else []
    ids = codec.close_source(tokens_of(source))
    front = [names[number - size] for number in ids if number >= size]
    return front + codec.source.pieces(ids[len(front) :])


def split_line(
    ids: list[int] | np.ndarray,
    pieces: list[str],
    longest: int,
    *,
    spaced: tuple[bool, bool] = (True, True),
) -> tuple[list[np.ndarray], list[str]]:
    """Split the token ids of a line, or its encoded source, into parts of at most `longest` tokens.

    A part ends after its last complete sentence, if a sentence ends in the second half of the part.
    Otherwise, it ends after the last complete word in this half. If no word ends there, it ends
    after `longest` tokens.

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
