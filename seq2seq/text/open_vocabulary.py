"""Ids for tokens that a vocabulary lacks, for models that copy tokens from the source.

An id of at least V, the size of the vocabulary, stands for a token that the vocabulary lacks. Such
an id has a meaning only for one pair of source and target:

- In a source, the id V + F + k stands for the k-th distinct unknown token of this source. F is the
  number of features, whose ids follow those of the vocabulary (see `seq2seq.text.features`). It is
  0 if no features stand in front of the source.
- In a target, the id V + j stands for the token at position j of the source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.text.tokenizer import Tokenizer
from seq2seq.text.units import SPACE


@dataclass(frozen=True)
class OpenIds:
    """The ids of a text. The k-th id after those of the vocabulary stands for `unknown[k]`."""

    ids: list[int]
    unknown: list[str]


def encode_open(tokenizer: Tokenizer, lines: Sequence[str], start: int) -> list[OpenIds]:
    """Encode lines like `Tokenizer.encode`, but give each distinct unknown token an own id.

    start: The id of the first unknown token of a line.
    """
    rows, unk = [], tokenizer.unk
    for line, ids in zip(lines, tokenizer.encode(lines), strict=True):
        numbers: dict[str, int] = {}
        if unk in ids:
            unknown = iter(tokenizer.unknown_tokens(line, spelled=True))
            ids = [
                start + numbers.setdefault(next(unknown), len(numbers)) if i == unk else i
                for i in ids
            ]
        rows.append(OpenIds(ids, list(numbers)))
    return rows


def close_ids(ids: np.ndarray, size: int, unk: int) -> np.ndarray:
    """Return ids of any shape, with the id `unk` for each token that the vocabulary lacks.

    size: The number of tokens in the vocabulary, and of features in front of the source.
    """
    return np.where(ids < size, ids, unk)


class CopyTable:
    """The tokens that a model can copy from a source to a target."""

    def __init__(self, source: Tokenizer, target: Tokenizer, read: int, size: int) -> None:
        """Compare two vocabularies.

        read: The number of tokens in the source vocabulary, plus the number of features in front of
            the source. Copying a feature writes <pad>, which no target contains.
        size: The number of target tokens, or the number of actions of a transducer.
        """
        self._size, features = size, read - len(source)
        self._source, self._target = source, target
        self._names = _names(source)
        numbers = {name: number for number, name in enumerate(_names(target))}
        copied = [numbers.get(name, -1) for name in self._names]
        for special in ("pad", "bos", "eos"):
            copied[getattr(source, special)] = getattr(target, special)
        copied[source.unk] = -1
        self._names += ["\n"] * features  # no token has this name
        self._ids = np.array(copied + [target.pad] * features, np.int64)

    def copied(self, source: np.ndarray) -> np.ndarray:
        """Return the target id of each source token, [B, S] int64.

        If the target vocabulary lacks a token, its id is `size` + j, where j is the first position
        of this token in its row.

        source: The ids of features and of `encode_open`, with EOS and padding, [B, S] int64.
        """
        known = source < len(self._ids)
        ids = self._ids[np.where(known, source, self._source.unk)]
        first = (source[:, :, None] == source[:, None, :]).argmax(axis=2)
        return np.where(ids >= 0, ids, self._size + first)

    def target_ids(self, source: OpenIds, target: OpenIds) -> list[int]:
        """Return the ids of a target, with V + j for unknown tokens that the source contains.

        The other unknown tokens become <unk>. All occurrences of a token have the same j.
        """
        size, texts = len(self._target), self._texts(source)
        places = {name: size + texts.index(name) for name in target.unknown if name in texts}
        return [
            i if i < size else places.get(target.unknown[i - size], self._target.unk)
            for i in target.ids
        ]

    def writer(self, source: OpenIds) -> Tokenizer:
        """Return the target tokenizer, which also decodes the ids V + j of this source."""
        segmentation = self._target.settings.segmentation
        start = SPACE if self._target.kind == "word" and not segmentation else ""
        return self._target.extended(
            [
                segmentation.piece_of(name) if segmentation else start + name
                for name in self._texts(source)
            ]
        )

    def _texts(self, source: OpenIds) -> list[str]:
        size = len(self._names)
        return [self._names[i] if i < size else source.unknown[i - size] for i in source.ids]


def _names(tokenizer: Tokenizer) -> list[str]:
    """Return each token of a vocabulary in the form in which both sides write it."""
    pieces = tokenizer.pieces(range(len(tokenizer)))
    if segmentation := tokenizer.settings.segmentation:
        return [segmentation.unit_of(piece) for piece in pieces]
    if tokenizer.kind == "word":
        return [piece.removeprefix(SPACE) for piece in pieces]
    return pieces
