"""What must hold of batches: each pair once, within the budget, little padding, right marks."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.text import batching
from seq2seq.text.batching import (
    Batch,
    collate_examples,
    pad_sequences,
    plan_batches,
)
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset, EncodedChunk
from seq2seq.text.example import Example
from seq2seq.text.tokenizer import train_tokenizer

LENGTHS = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=60)


def like_multi30k(pairs: int = 29_000) -> np.ndarray:
    """12 words a side and a few subwords more; the sides of a pair go together."""
    random = np.random.default_rng(0)
    words = random.gamma(9, 1.5, pairs).clip(4, 40)
    sides = [words * random.normal(mean, 0.15, pairs).clip(0.6, 1.8) for mean in (1.1, 1.05)]
    return np.stack(sides, axis=1).round().astype(np.int32)


@given(
    lengths=LENGTHS,
    budget=st.integers(1, 200),
    seed=st.integers(0, 2**40),
    epoch=st.integers(0, 100),
    pool=st.sampled_from([7, 1 << 17]),
)
@settings(max_examples=150)
def test_every_pair_once_within_the_budget(
    lengths: list[tuple[int, int]], budget: int, seed: int, epoch: int, pool: int
) -> None:
    table = np.array(lengths, np.int32).reshape(-1, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "_POOL", pool)
        made = plan_batches(table, budget=budget, seed=seed, epoch=epoch)
        again = plan_batches(table, budget=budget, seed=seed, epoch=epoch)
    assert sorted(row for rows in made for row in rows) == list(range(len(lengths)))
    for rows in made:
        assert len(rows)
        assert len(rows) * (table[rows].max() + 1) <= budget or len(rows) == 1
    assert [rows.tolist() for rows in made] == [rows.tolist() for rows in again]


def test_batches_are_as_full_as_the_budget_allows() -> None:
    made = plan_batches(np.full((100, 2), 9), budget=75, seed=1, epoch=0)
    assert sorted(len(rows) for rows in made) == [2] + [7] * 14


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 2}])
def test_another_epoch_and_another_seed_have_another_order(other: dict[str, int]) -> None:
    table = like_multi30k(3_000)
    settings = {"budget": 500, "seed": 1, "epoch": 0}
    one = [rows.tolist() for rows in plan_batches(table, **settings)]
    two = [rows.tolist() for rows in plan_batches(table, **{**settings, **other})]
    assert one != two
    # Other batches too, and not the same ones in another order.
    shared = {tuple(sorted(rows)) for rows in one} & {tuple(sorted(rows)) for rows in two}
    assert len(shared) < len(one) / 10
    # Short and long ones mixed: a batch's length says nothing of the next one's.
    longest = np.array([table[rows].max() for rows in one])
    assert abs(np.corrcoef(longest[1:], longest[:-1])[0, 1]) < 0.3


def test_one_is_made_ahead_and_mistakes_are_raised_in_their_turn() -> None:
    begun = []

    def make(item: int) -> float:
        begun.append(item)
        return 6 / item

    coming = batching.prefetch(make, [3, 2, 0, 1])
    assert next(coming) == 2
    deadline = time.monotonic() + 10
    while len(begun) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert begun == [3, 2]
    assert next(coming) == 3
    with pytest.raises(ZeroDivisionError):
        next(coming)
    assert list(batching.prefetch(make, [])) == []
    assert list(batching.prefetch(make, [1, 2])) == [6, 3]


def test_few_sizes_of_batches() -> None:
    table = like_multi30k()
    made = [len(rows) for rows in plan_batches(table, budget=2048, seed=1, epoch=0)]
    assert sum(size % (8 if size >= 64 else 4) != 0 for size in made) <= 1
    assert max(made) > 100


@pytest.mark.parametrize("budget", [100, 224, 1000, 4000])
def test_batches_are_hardly_smaller_than_they_may_be(budget: int) -> None:
    table = np.full((5000, 2), 16)  # 17 with EOS
    for rows in plan_batches(table, budget=budget, seed=1, epoch=0)[:-1]:
        assert 17 * len(rows) <= budget
    largest = max(len(rows) for rows in plan_batches(table, budget=budget, seed=1, epoch=0))
    assert largest > budget // 17 * 7 / 8


def test_little_padding() -> None:
    table = like_multi30k()
    padded = sum(
        len(rows) * (table[rows].max(axis=0) + 1).sum()
        for rows in plan_batches(table, budget=2048, seed=1, epoch=0)
    )
    assert 1 - (table + 1).sum() / padded < 0.05  # half of it is padding in batches at random


def codec() -> Codec:
    one = train_tokenizer(["a b c d e f g h"], TokenizerConfig(kind="char"))
    return Codec(one, train_tokenizer(["stuvwxyz"], TokenizerConfig(kind="char")))


@given(lengths=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=5))
@settings(max_examples=50)
def test_collate(tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[int, int]]) -> None:
    both = codec()
    left, right = both.source, both.target
    sources = [[5 + i for i in range(source)] for source, _ in lengths]
    targets = [[6 + i for i in range(target)] for _, target in lengths]
    path = tmp_path_factory.getbasetemp() / "collate.arrow"
    blank = [Example("", "")] * len(lengths)
    Dataset.write(path, [EncodedChunk(blank, {"source": sources, "target": targets})])
    rows = np.arange(len(lengths))[::-1]
    batch = collate_examples(Dataset.open(path), rows, both)
    size = max(map(len, sources)) + 1
    width = max(map(len, targets)) + 1
    assert batch.source.shape == (len(lengths), size)
    assert batch.inputs.shape == batch.outputs.shape == (len(lengths), width)
    assert np.array_equal(batch.examples, rows)
    for place, row in enumerate(rows):
        source, target = sources[row], targets[row]
        blank_s, blank_t = [left.pad] * size, [right.pad] * width
        assert batch.source[place].tolist() == [*source, left.eos, *blank_s][:size]
        assert batch.lengths[place] == len(source) + 1
        assert batch.inputs[place].tolist() == [right.bos, *target, *blank_t][:width]
        assert batch.outputs[place].tolist() == [*target, right.eos, *blank_t][:width]
    for part in (batch.source, batch.lengths, batch.inputs, batch.outputs):
        assert part.dtype == torch.int64


def test_source_alone() -> None:
    tokens, lengths = pad_sequences([np.array([4, 5]), np.array([], np.int32)], pad=0, eos=3)
    assert tokens.tolist() == [[4, 5, 3], [3, 0, 0]]
    assert lengths.tolist() == [3, 1]
    assert tokens.dtype == lengths.dtype == torch.int64


def test_to_a_device(tmp_path: Path) -> None:
    chunk = EncodedChunk([Example("", "")], {"source": [[4, 5]], "target": [[6]]})
    Dataset.write(tmp_path / "one.arrow", [chunk])
    batch = collate_examples(Dataset.open(tmp_path / "one.arrow"), np.array([0]), codec())
    moved = batch.to(torch.device("meta"))
    for name in ("source", "lengths", "inputs", "outputs"):
        assert getattr(moved, name).device.type == "meta"
        assert getattr(moved, name).shape == getattr(batch, name).shape
    assert isinstance(moved, Batch)
    assert moved.examples is batch.examples
