"""Ids for tokens that a vocabulary lacks, for models that copy tokens from the source.

Such an id has a meaning only for one pair of source and target. V is the size of the target
vocabulary, and U is the number of ids that any source may contain (`Codec.source_size`):

- In a source, the id U + k stands for the k-th distinct unknown token of this source.
- In a target, the id V + j stands for the token at position j of the encoded source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seq2seq.text.tokenizer import Tokenizer
from seq2seq.text.units import SPACE


@dataclass(frozen=True)
class OpenIds:
    """The ids of a text, and its unknown tokens in the order of their ids."""

    ids: list[int]
    unknown: list[str]


def encode_open(tokenizer: Tokenizer, lines: Sequence[str], first: int) -> list[OpenIds]:
    """Encode lines like `Tokenizer.encode`, but give each distinct unknown token an own id.

    first: The id of the first unknown token of a line.
    """
    rows = []
    for line, ids in zip(lines, tokenizer.encode(lines), strict=True):
        numbers: dict[str, int] = {}
        if tokenizer.unk in ids:
            unknown = iter(tokenizer.unknown_tokens(line, spelled=True))
            ids = [
                first + numbers.setdefault(next(unknown), len(numbers)) if i == tokenizer.unk else i
                for i in ids
            ]
        rows.append(OpenIds(ids, list(numbers)))
    return rows


class CopyTable:
    """The tokens that a model can copy from a source to a target."""

    def __init__(self, source: Tokenizer, target: Tokenizer, source_size: int) -> None:
        """Compare the vocabularies. `source_size` is U, as the docstring of the module explains."""
        self._source, self._target = source, target
        features = source_size - len(source)
        self._names = _names(source) + [None] * features
        numbers = {name: number for number, name in enumerate(_names(target))}
        # Features are not copied. Their attention weights go to padding, which is never written.
        copied = [target.pad if name is None else numbers.get(name, -1) for name in self._names]
        for special in ("pad", "bos", "eos"):
            copied[getattr(source, special)] = getattr(target, special)
        copied[source.unk] = -1
        self._ids = np.array(copied, np.int64)

    def copied(self, source: np.ndarray) -> np.ndarray:
        """Return the target id of each source token, [B, S] int64.

        If the target vocabulary lacks a token, its id is V + j, where j is the first position of
        this token in its row.

        source: The ids of `encode_open` with EOS and padding, [B, S] int64.
        """
        known = source < len(self._ids)
        ids = self._ids[np.where(known, source, self._source.unk)]
        first = (source[:, :, None] == source[:, None, :]).argmax(axis=2)
        return np.where(ids >= 0, ids, len(self._target) + first)

    def encode_sources(self, sources: Sequence[str]) -> list[list[int]]:
        """Encode sources, with an own id for each distinct unknown token of a source."""
        return [source.ids for source in encode_open(self._source, sources, len(self._names))]

    def encode_targets(
        self, targets: Sequence[str], sources: Sequence[str], encoded: Sequence[Sequence[int]]
    ) -> list[list[int]]:
        """Encode targets. `encoded` are the ids of their sources, with features in front."""
        rows = zip(
            encode_open(self._source, sources, len(self._names)),
            encode_open(self._target, targets, len(self._target)),
            encoded,
            strict=True,
        )
        return [
            self.target_ids(OpenIds(list(ids), source.unknown), target)
            for source, target, ids in rows
        ]

    def close_source(self, ids: np.ndarray) -> np.ndarray:
        """Return source ids of any shape, with <unk> for tokens that the vocabulary lacks."""
        return np.where(ids < len(self._names), ids, self._source.unk)

    def close_target(self, ids: np.ndarray) -> np.ndarray:
        """Return target ids of any shape, with <unk> for tokens that the vocabulary lacks."""
        return np.where(ids < len(self._target), ids, self._target.unk)

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

    def writer(self, source: str, ids: Sequence[int]) -> Tokenizer:
        """Return the target tokenizer, which also decodes the ids V + j of this source.

        ids: The ids of the source, or of a part of it.
        """
        (opened,) = encode_open(self._source, [source], len(self._names))
        segmentation = self._target.settings.segmentation
        start = SPACE if self._target.kind == "word" and not segmentation else ""
        return self._target.extended(
            [
                segmentation.piece_of(name or "") if segmentation else start + (name or "")
                for name in self._texts(OpenIds(list(ids), opened.unknown))
            ]
        )

    def _texts(self, source: OpenIds) -> list[str | None]:
        size = len(self._names)
        return [self._names[i] if i < size else source.unknown[i - size] for i in source.ids]


def _names(tokenizer: Tokenizer) -> list[str | None]:
    """Return each token of a vocabulary in the form in which both sides write it."""
    pieces = tokenizer.pieces(range(len(tokenizer)))
    if segmentation := tokenizer.settings.segmentation:
        return [segmentation.unit_of(piece) for piece in pieces]
    if tokenizer.kind == "word":
        return [piece.removeprefix(SPACE) for piece in pieces]
    return list(pieces)
