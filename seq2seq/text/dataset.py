"""Examples on disk: text and ids in an Arrow file, memory-mapped, so that a corpus may be larger
than the memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from seq2seq.files import atomic_file
from seq2seq.text.codec import Codec, Ids
from seq2seq.text.example import Example

SCHEMA_VERSION = 2  # raise it with every change of the columns below

_CHUNK = 10_000  # examples in a record batch

# An id column has the name that the codec gives it. A text column is a field of `Example` and ends
# in "_text", so that both may be there.
_TEXT_SUFFIX = "_text"
_TEXT = {
    "source": pa.large_string(),
    "target": pa.large_string(),
    "features": pa.list_(pa.large_string()),
    "references": pa.list_(pa.large_string()),
}
_TEXT_FIELDS = [pa.field(name + _TEXT_SUFFIX, kind) for name, kind in _TEXT.items()]
_IDS = pa.large_list(pa.int32())


@dataclass(frozen=True)
class EncodedChunk:
    """Some examples and their ids, in columns by name: those that `Codec.encode` gives."""

    examples: list[Example]
    ids: dict[str, Ids]

    def select(self, rows: Sequence[int]) -> EncodedChunk:
        """Keep the examples with these numbers."""
        ids = {name: [column[row] for row in rows] for name, column in self.ids.items()}
        return EncodedChunk([self.examples[row] for row in rows], ids)


def chunk_examples(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Split into lists of at most 10,000 examples."""
    remaining = iter(examples)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def encode_examples(
    examples: Iterable[Example], codec: Codec, threads: int = 1
) -> Iterator[EncodedChunk]:
    """Encode chunk by chunk, for `Dataset.write`."""
    for chunk in chunk_examples(examples):
        yield EncodedChunk(chunk, codec.encode(chunk, threads))


class Dataset:
    """Examples by row number, read from the disk on demand. Ids are without special ids."""

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._batches = batches
        self._starts = np.cumsum([0] + [len(batch) for batch in batches])
        self._ids = [_id_columns(batch) for batch in batches]

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Memory-map what `write` wrote."""
        reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
        return cls([reader.get_batch(i) for i in range(reader.num_record_batches)])

    @classmethod
    def in_memory(cls, chunks: Iterable[EncodedChunk]) -> Dataset:
        """Keep the chunks in memory, without a file."""
        return cls([_record_batch(chunk) for chunk in chunks if chunk.examples])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def lengths(self) -> np.ndarray:
        """The lengths [n, 2] int32 of source and target, in this order, for planning batches; 0
        where such a column is absent. The only part that is kept in memory, once it is needed."""
        lengths = np.zeros((len(self), 2), np.int32)
        for start, columns in zip(self._starts, self._ids, strict=False):
            for position, name in enumerate(("source", "target")):
                if name in columns:
                    offsets, _ = columns[name]
                    lengths[start : start + len(offsets) - 1, position] = np.diff(offsets)
        return lengths

    def ids(self, row: int, column: str) -> np.ndarray:
        """The ids [length] int32 of one example in one column. Raises KeyError for a column that
        the codec did not give."""
        batch = int(np.searchsorted(self._starts, row, side="right")) - 1
        offsets, values = self._ids[batch][column]
        row -= int(self._starts[batch])
        return values[offsets[row] : offsets[row + 1]]

    def columns(self, column: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Offsets and values of one column of ids, as they lie on the disk, part by part."""
        for columns in self._ids:
            yield columns[column]

    def examples(self) -> Iterator[Example]:
        """The raw text of all examples, in order."""
        for batch in self._batches:
            columns = {name: batch.column(name + _TEXT_SUFFIX) for name in Example._fields}
            yield from map(
                Example,
                columns["source"].to_pylist(),
                columns["target"].to_pylist(),
                _text_tuples(columns["features"]),
                _text_tuples(columns["references"]),
            )

    @staticmethod
    def write(path: Path, chunks: Iterable[EncodedChunk]) -> int:
        """Stream chunks, all with the same columns, into a file that is complete or absent.

        Returns the number of examples.
        """
        count = 0
        batches = (_record_batch(chunk) for chunk in chunks if chunk.examples)
        first = next(batches, None)
        schema = pa.schema(_TEXT_FIELDS) if first is None else first.schema
        with (
            atomic_file(path) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            for batch in batches if first is None else chain([first], batches):
                writer.write_batch(batch)
                count += len(batch)
        return count


def _record_batch(chunk: EncodedChunk) -> pa.RecordBatch:
    fields = _TEXT_FIELDS + [pa.field(name, _IDS) for name in chunk.ids]
    texts = zip(*chunk.examples, strict=True)
    columns = dict(zip((field.name for field in _TEXT_FIELDS), texts, strict=True))
    return pa.RecordBatch.from_pydict({**columns, **chunk.ids}, schema=pa.schema(fields))


def _id_columns(batch: pa.RecordBatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Offsets and values of each column of ids, without a copy."""
    names = [name for name in batch.schema.names if not name.endswith(_TEXT_SUFFIX)]
    columns = {name: batch.column(name) for name in names}
    return {
        name: (column.offsets.to_numpy(), column.values.to_numpy())
        for name, column in columns.items()
    }


def _text_tuples(column: pa.ListArray) -> list[tuple[str, ...]]:
    """The texts of each row of a column of lists."""
    texts = column.values.to_pylist()
    if not texts:
        return [()] * len(column)
    return [tuple(texts[start:end]) for start, end in pairwise(column.offsets.to_pylist())]
