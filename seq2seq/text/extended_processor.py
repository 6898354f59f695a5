"""A SentencePiece processor with additional pieces, which belong to a single text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seq2seq.text.units import SPACE


class ExtendedProcessor:
    """A processor that decodes id V + k as `added[k]`. All other methods are SentencePiece's."""

    def __init__(self, processor: Any, added: Sequence[str]) -> None:
        self._processor, self._added = processor, list(added)
        self._size = int(processor.GetPieceSize())

    def GetPieceSize(self) -> int:  # noqa: N802 - the names of SentencePiece
        return self._size + len(self._added)

    def IdToPiece(self, number: int) -> str:  # noqa: N802
        if number >= self._size:
            return self._added[number - self._size]
        piece: str = self._processor.IdToPiece(number)
        return piece

    def DecodeIds(self, ids: Sequence[int]) -> str:  # noqa: N802
        text: str = self._processor.DecodePieces(self._spelled(ids))
        return text

    def DecodeIdsAsImmutableProto(self, ids: Sequence[int]) -> Any:  # noqa: N802
        return self._processor.DecodePiecesAsImmutableProto(self._spelled(ids))

    def _spelled(self, ids: Sequence[int]) -> list[str]:
        """Return the pieces of ids. SentencePiece writes an unknown piece without changes."""
        pieces = [self.IdToPiece(number) for number in ids]
        for place, number in enumerate(ids):
            if number >= self._size:
                text = pieces[place].replace(SPACE, " ")
                pieces[place] = text if place else text.removeprefix(" ")
        return pieces

    def __getattr__(self, name: str) -> Any:
        return getattr(self._processor, name)
