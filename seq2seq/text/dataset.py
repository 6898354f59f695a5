"""A dataset in an Arrow file: examples with their text and token ids.

The file is memory-mapped, so that a corpus can be larger than the RAM.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from seq2seq.errors import UserError
from seq2seq.files import atomic_file
from seq2seq.text.codec import Codec, Ids
from seq2seq.text.example import Example
from seq2seq.text.features import join_columns

SCHEMA_VERSION = 3  # increase it whenever the columns below or the readers of text change

_CHUNK = 10_000  # number of examples in a record batch

# `Codec.encode` names the id columns ("source", "target"). A text column is named after a field of
# `Example`, with the suffix "_text", so that the names of text and ids differ.
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
    """Examples and their ids.

    examples: the raw text of the examples.
    ids: the ids of each example, by column ("source", "target", and "features" if there are any).
    """

    examples: list[Example]
    ids: dict[str, Ids]

    def select(self, rows: Sequence[int]) -> EncodedChunk:
        """Return a chunk with the examples at the given indices, which count from 0."""
        ids = {name: [column[row] for row in rows] for name, column in self.ids.items()}
        return EncodedChunk([self.examples[row] for row in rows], ids)


def chunk_examples(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """Split the examples into lists of at most 10,000 examples."""
    remaining = iter(examples)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk


def encode_examples(
    examples: Iterable[Example], codec: Codec, threads: int = 1
) -> Iterator[EncodedChunk]:
    """Encode the examples and yield them in chunks, as input for `Dataset.write`."""
    for chunk in chunk_examples(examples):
        yield EncodedChunk(chunk, codec.encode(chunk, threads))


class Dataset:
    """A dataset that reads examples from disk on demand. Its ids do not include BOS and EOS."""

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._batches = batches
        self._starts = np.cumsum([0] + [len(batch) for batch in batches])
        self._ids = [_id_columns(batch) for batch in batches]

    @classmethod
    def open(cls, path: Path) -> Dataset:
        """Open and memory-map a file that `write` created.

        Raises OSError, with the file name. Raises UserError if the file is cut off.
        """
        try:
            reader = pa.ipc.open_file(pa.memory_map(str(path), "r"))
            batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        except pa.ArrowInvalid as error:
            raise UserError(
                f"{path}: the prepared data is damaged ({error}); start a new run in another "
                "folder with --out"
            ) from None
        except OSError as error:  # pyarrow sets no file name, and not always an error number
            number = errno.EIO if error.errno is None else error.errno
            raise OSError(number, error.strerror or str(error), str(path)) from None
        return cls(batches)

    @classmethod
    def in_memory(cls, chunks: Iterable[EncodedChunk]) -> Dataset:
        """Return a dataset that keeps the chunks in memory, without a file."""
        return cls([_record_batch(chunk) for chunk in chunks if chunk.examples])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @cached_property
    def lengths(self) -> np.ndarray:
        """The lengths of source and target (in this order) of each example, [n, 2] int32.

        A missing column has length 0. After the first access, the lengths stay in memory.
        """
        lengths = np.zeros((len(self), 2), np.int32)
        for start, columns in zip(self._starts, self._ids, strict=False):
            for position, name in enumerate(("source", "target")):
                if name in columns:
                    offsets, _ = columns[name]
                    lengths[start : start + len(offsets) - 1, position] = np.diff(offsets)
        return lengths

    def ids(self, row: int, column: str) -> np.ndarray:
        """Return the ids of one example in one column, [length] int32.

        Raises KeyError if the codec does not encode this column.
        """
        batch = int(np.searchsorted(self._starts, row, side="right")) - 1
        offsets, values = self._ids[batch][column]
        row -= int(self._starts[batch])
        return values[offsets[row] : offsets[row + 1]]

    def source(self, row: int) -> np.ndarray:
        """Return the encoded source of one example: tokens [S], or with features [S, 1 + K]."""
        tokens = self.ids(row, "source")
        if not self._ids or "features" not in self._ids[0]:
            return tokens
        return join_columns(tokens, self.ids(row, "features"))

    def columns(self, column: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the offsets and values of one id column, for each record batch of the file.

        The ids of example i are values[offsets[i] : offsets[i + 1]].
        """
        for columns in self._ids:
            yield columns[column]

    def examples(self) -> Iterator[Example]:
        """Yield the raw text of all examples, in order."""
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
        """Write the chunks to a file and return the number of examples.

        All chunks must have the same columns. If an error occurs, no incomplete file remains.
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
    """Convert a chunk to an Arrow record batch with text columns and id columns."""
    fields = _TEXT_FIELDS + [pa.field(name, _IDS) for name in chunk.ids]
    texts = zip(*chunk.examples, strict=True)
    columns = dict(zip((field.name for field in _TEXT_FIELDS), texts, strict=True))
    return pa.RecordBatch.from_pydict({**columns, **chunk.ids}, schema=pa.schema(fields))


def _id_columns(batch: pa.RecordBatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the offsets and values of each id column by name, without copying the data."""
    names = [name for name in batch.schema.names if not name.endswith(_TEXT_SUFFIX)]
    columns = {name: batch.column(name) for name in names}
    return {
        name: (column.offsets.to_numpy(), column.values.to_numpy())
        for name, column in columns.items()
    }


def _text_tuples(column: pa.ListArray) -> list[tuple[str, ...]]:
    """Return the rows of a column whose values are lists of texts."""
    texts = column.values.to_pylist()
    if not texts:
        return [()] * len(column)
    return [tuple(texts[start:end]) for start, end in pairwise(column.offsets.to_pylist())]
