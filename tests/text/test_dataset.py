"""What must hold of examples on disk: they come back as written, from a file that is whole."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.text.codec import Codec, Ids
from seq2seq.text.dataset import Dataset, EncodedChunk, chunk_examples, encode_examples
from seq2seq.text.example import Example
from seq2seq.text.tokenizer import train_tokenizer

IDS = st.lists(st.integers(0, 2**31 - 1), max_size=5)
TEXT = st.text(st.characters(codec="utf-8"), max_size=5)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
EXAMPLE = st.builds(Example, TEXT, TEXT, TEXTS, TEXTS)
ROWS = st.lists(st.tuples(EXAMPLE, IDS, IDS, IDS), max_size=4)
COLUMNS = ("source", "target", "features")

Row = tuple[Example, list[int], list[int], list[int]]


def as_chunk(rows: list[Row], columns: tuple[str, ...]) -> EncodedChunk:
    ids: dict[str, Ids] = {
        column: [row[1 + number] for row in rows] for number, column in enumerate(columns)
    }
    return EncodedChunk([row[0] for row in rows], ids)


def one_row(source: str, target: str, source_ids: list[int], target_ids: list[int]) -> EncodedChunk:
    return EncodedChunk([Example(source, target)], {"source": [source_ids], "target": [target_ids]})


@given(content=st.lists(ROWS, max_size=4), columns=st.sampled_from([COLUMNS[:2], COLUMNS]))
@settings(max_examples=50)
def test_written_and_read(
    tmp_path_factory: pytest.TempPathFactory, content: list[list[Row]], columns: tuple[str, ...]
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.arrow"
    rows = [row for chunk in content for row in chunk]
    assert Dataset.write(path, (as_chunk(chunk, columns) for chunk in content)) == len(rows)
    in_memory = Dataset.in_memory(as_chunk(chunk, columns) for chunk in content)
    for made in (Dataset.open(path), in_memory):
        assert len(made) == len(rows)
        assert list(made.examples()) == [row[0] for row in rows]
        assert all(isinstance(example, Example) for example in made.examples())
        assert made.lengths.tolist() == [[len(row[1]), len(row[2])] for row in rows]
        assert made.lengths.shape == (len(rows), 2)
        assert made.lengths.dtype == np.int32
        for number, row in enumerate(rows):
            for place, column in enumerate(columns):
                ids = made.ids(number, column)
                assert ids.tolist() == row[1 + place]
                assert ids.dtype == np.int32


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """In whatever order the codec gives them; one that it does not give is absent."""
    examples = [Example("a b", "c", ("N V",), ("d",)), Example("e", "f")]
    chunk = EncodedChunk(examples, {"target": [[3], [6]], "tags": [[1, 2], []]})
    Dataset.write(tmp_path / "some.arrow", [chunk])
    for made in (Dataset.open(tmp_path / "some.arrow"), Dataset.in_memory([chunk])):
        assert list(made.examples()) == examples
        assert [made.ids(row, "target").tolist() for row in (0, 1)] == [[3], [6]]
        assert [made.ids(row, "tags").tolist() for row in (0, 1)] == [[1, 2], []]
        ((offsets, values),) = made.columns("tags")
        assert (offsets.tolist(), values.tolist()) == ([0, 2, 2], [1, 2])
        assert made.lengths.tolist() == [[0, 1], [0, 1]]
        for column in ("source", "source_text", "features"):
            with pytest.raises(KeyError, match=column):
                made.ids(0, column)


def test_a_file_of_text_alone(tmp_path: Path) -> None:
    Dataset.write(tmp_path / "text.arrow", [EncodedChunk([Example("a", "b")], {})])
    assert list(Dataset.open(tmp_path / "text.arrow").examples()) == [Example("a", "b")]


def test_rows_are_selected_in_every_column() -> None:
    examples = [Example(letter, letter) for letter in "abc"]
    chunk = EncodedChunk(examples, {"source": [[1], [2], [3]], "tags": [[4], [5], [6]]})
    kept = EncodedChunk([examples[0], examples[2]], {"source": [[1], [3]], "tags": [[4], [6]]})
    assert chunk.select([0, 2]) == kept


def test_chunks_lose_nothing() -> None:
    examples = [Example(f"s{i}", f"t{i}") for i in range(25_000)]
    made = list(chunk_examples(iter(examples)))
    assert [len(chunk) for chunk in made] == [10_000, 10_000, 5_000]
    assert [example for chunk in made for example in chunk] == examples
    assert list(chunk_examples([])) == []
    assert [len(chunk) for chunk in chunk_examples(examples[:10_000])] == [10_000]


def test_several_chunks_on_disk(tmp_path: Path) -> None:
    one = train_tokenizer(["a b c d"], TokenizerConfig(kind="word"))
    other = train_tokenizer(["w x y z"], TokenizerConfig(kind="word"))
    examples = [Example("abcd"[i % 4], " ".join("wxyz"[: i % 5])) for i in range(20_003)]
    path = tmp_path / "examples.arrow"
    Dataset.write(path, encode_examples(examples, Codec(one, other)))
    made = Dataset.open(path)
    assert list(made.examples()) == examples
    for number in (0, 9_999, 10_000, 10_001, 19_999, 20_000, 20_002):
        source, target = examples[number].source, examples[number].target
        assert made.ids(number, "source").tolist() == one.encode([source])[0]
        assert made.ids(number, "target").tolist() == other.encode([target])[0]
        assert made.lengths[number].tolist() == [1, number % 5]


def test_memory_mapped(tmp_path: Path) -> None:
    path = tmp_path / "examples.arrow"
    Dataset.write(path, [one_row("a", "b", list(range(100_000)), [])])
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    made = Dataset.open(path)
    ids = made.ids(0, "source")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # 400,000 bytes stay on the disk, whichever allocator they might have come from.
    assert peak + pa.total_allocated_bytes() - before < 100_000
    assert not ids.flags.owndata
    # A file that takes its place, or its end, leaves what is open as it was.
    Dataset.write(path, [one_row("other", "b", [7], [])])
    path.unlink()
    assert ids[-1] == 99_999
    assert next(made.examples()) == Example("a", "b")


@pytest.mark.parametrize("there", [False, True], ids=["new", "replaced"])
def test_a_writer_that_fails_leaves_nothing_of_it(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "examples.arrow"
    if there:
        Dataset.write(path, [one_row("old", "pair", [1], [2])])

    def content() -> Iterator[EncodedChunk]:
        yield one_row("a", "b", [1], [2])
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Dataset.write(path, content())
    assert [each.name for each in tmp_path.iterdir()] == [path.name] * there
    if there:
        assert list(Dataset.open(path).examples()) == [Example("old", "pair")]
