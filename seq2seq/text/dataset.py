"""Pairs on disk: text and subword ids in an Arrow file, memory-mapped, so that a corpus may be
larger than the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from seq2seq.files import atomic_file
from seq2seq.text.codec import Codec
from seq2seq.text.corpus import Pair

_CHUNK = 10_000  # pairs a record batch
_TEXT = [("source_text", pa.large_string()), ("target_text", pa.large_string())]
_IDS = [("source", pa.large_list(pa.int32())), ("target", pa.large_list(pa.int32()))]
_SCHEMA = pa.schema(_TEXT + _IDS)

Ids = list[list[int]]
EncodedChunk = tuple[
    list[str], list[str], Ids, Ids
]  # a chunk of pairs: both texts, both sides' ids


def chunk_pairs(pairs: Iterable[Pair]) -> Iterator[tuple[list[str], list[str]]]:
    """Pairs in lists of at most 10,000, the sides apart."""
    sources: list[str] = []
    targets: list[str] = []
    for source, target in pairs:
        sources.append(source)
        targets.append(target)
        if len(sources) == _CHUNK:
            yield sources, targets
            sources, targets = [], []
    if sources:
        yield sources, targets


def encode_pairs(pairs: Iterable[Pair], codec: Codec, threads: int = 1) -> Iterator[EncodedChunk]:
    """The ids of each pair, in chunks, as `Dataset.write` takes them."""
    for sources, targets in chunk_pairs(pairs):
        yield sources, targets, *codec.encode(sources, targets, threads)


class Dataset:
    """Pairs by number, read from the disk when asked for.

    Numbers of subwords are without special ids; `lengths` is [n, 2] int32, source first.
    """

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._batches = batches
        self._starts = np.cumsum([0] + [len(batch) for batch in batches])
        self._ids = [tuple(_views(batch, name) for name, _ in _IDS) for batch in batches]

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """What `write` wrote, memory-mapped."""
        reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
        return cls([reader.get_batch(i) for i in range(reader.num_record_batches)])

    @classmethod
    def in_memory(cls, content: Iterable[EncodedChunk]) -> Dataset:
        """The same of chunks that need not be kept."""
        return cls([_record_batch(chunk) for chunk in content if chunk[0]])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Of all pairs; all that is kept in memory, and only where it is asked for."""
        lengths = np.empty((len(self), 2), np.int32)
        for start, sides in zip(self._starts, self._ids, strict=False):
            for side, (offsets, _) in enumerate(sides):
                lengths[start : start + len(offsets) - 1, side] = np.diff(offsets)
        return lengths

    def ids(self, row: int, side: int) -> np.ndarray:
        """The ids [length] int32 of pair `row`; side 0 is the source, 1 the target."""
        batch = int(np.searchsorted(self._starts, row, side="right")) - 1
        offsets, values = self._ids[batch][side]
        row -= int(self._starts[batch])
        return values[offsets[row] : offsets[row + 1]]

    def columns(self, side: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Offsets and values of a side's ids, as they lie on the disk, part by part."""
        for sides in self._ids:
            yield sides[side]

    def pairs(self) -> Iterator[Pair]:
        """The raw text of all pairs, in order."""
        for batch in self._batches:
            yield from zip(batch[0].to_pylist(), batch[1].to_pylist(), strict=True)

    @staticmethod
    def write(path: Path, content: Iterable[EncodedChunk]) -> int:
        """Stream chunks into a file that is whole or not there; gives the number of pairs."""
        count = 0
        with (
            atomic_file(path) as aside,
            pa.OSFile(str(aside), "wb") as sink,
            pa.ipc.new_file(sink, _SCHEMA) as writer,
        ):
            for chunk in content:
                if chunk[0]:
                    writer.write_batch(_record_batch(chunk))
                    count += len(chunk[0])
        return count


def _record_batch(chunk: EncodedChunk) -> pa.RecordBatch:
    return pa.record_batch(list(chunk), schema=_SCHEMA)


def _views(batch: pa.RecordBatch, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Offsets and values of a list column, without a copy."""
    column = batch.column(name)
    return column.offsets.to_numpy(), column.values.to_numpy()
