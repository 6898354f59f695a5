"""What must hold of pairs on disk: they come back as written, from a file that is whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config.schema import TokenizerConfig
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset, EncodedChunk, chunk_pairs, encode_pairs
from seq2seq.text.tokenizer import train_tokenizer

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=5)
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
ROWS = st.lists(st.tuples(TEXT, TEXT, IDS, IDS), max_size=4)


def as_chunks(content: list[list[tuple[str, str, list[int], list[int]]]]) -> Iterator[EncodedChunk]:
    for rows in content:
        yield tuple(list(column) for column in zip(*rows, strict=True)) if rows else ([],) * 4


@given(content=st.lists(ROWS, max_size=4))
@settings(max_examples=50)
def test_written_and_read(tmp_path_factory: pytest.TempPathFactory, content: list) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.arrow"
    rows = [row for chunk in content for row in chunk]
    assert Dataset.write(path, as_chunks(content)) == len(rows)
    made = Dataset.open(path)
    assert len(made) == len(rows)
    assert list(made.pairs()) == [row[:2] for row in rows]
    assert made.lengths.tolist() == [[len(row[2]), len(row[3])] for row in rows]
    assert made.lengths.shape == (len(rows), 2)
    assert made.lengths.dtype == np.int32
    for number, row in enumerate(rows):
        for side in (0, 1):
            ids = made.ids(number, side)
            assert ids.tolist() == row[2 + side]
            assert ids.dtype == np.int32


def test_chunks_lose_nothing() -> None:
    pairs = [(f"s{i}", f"t{i}") for i in range(25_000)]
    made = list(chunk_pairs(iter(pairs)))
    assert [len(sources) for sources, _ in made] == [10_000, 10_000, 5_000]
    assert [pair for chunk in made for pair in zip(*chunk, strict=True)] == pairs
    assert list(chunk_pairs([])) == []
    assert [len(sources) for sources, _ in chunk_pairs(pairs[:10_000])] == [10_000]


def test_several_chunks_on_disk(tmp_path: Path) -> None:
    one = train_tokenizer(["a b c d"], TokenizerConfig(kind="word"))
    other = train_tokenizer(["w x y z"], TokenizerConfig(kind="word"))
    pairs = [("abcd"[i % 4], " ".join("wxyz"[: i % 5])) for i in range(20_003)]
    path = tmp_path / "pairs.arrow"
    Dataset.write(path, encode_pairs(pairs, Codec(one, other)))
    made = Dataset.open(path)
    assert list(made.pairs()) == pairs
    for number in (0, 9_999, 10_000, 10_001, 19_999, 20_000, 20_002):
        assert made.ids(number, 0).tolist() == one.encode([pairs[number][0]])[0]
        assert made.ids(number, 1).tolist() == other.encode([pairs[number][1]])[0]
        assert made.lengths[number].tolist() == [1, number % 5]


def test_memory_mapped(tmp_path: Path) -> None:
    path = tmp_path / "pairs.arrow"
    Dataset.write(path, [(["a"], ["b"], [list(range(100_000))], [[]])])
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    made = Dataset.open(path)
    ids = made.ids(0, 0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 400,000 bytes stay on the disk, whichever allocator they might have come from.
    assert peak + pa.total_allocated_bytes() - before < 100_000
    assert not ids.flags.owndata
    # A file that takes its place, or its end, leaves what is open as it was.
    Dataset.write(path, [(["other"], ["b"], [[7]], [[]])])
    path.unlink()
    assert ids[-1] == 99_999
    assert next(made.pairs()) == ("a", "b")


@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_a_writer_that_fails_leaves_nothing_of_it(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "pairs.arrow"
    if there:
        Dataset.write(path, [(["old"], ["pair"], [[1]], [[2]])])

    def content() -> Iterator[EncodedChunk]:
        yield ["a"], ["b"], [[1]], [[2]]
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Dataset.write(path, content())
    assert [each.name for each in tmp_path.iterdir()] == [path.name] * there
    if there:
        assert list(Dataset.open(path).pairs()) == [("old", "pair")]
