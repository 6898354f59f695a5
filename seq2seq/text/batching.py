"""Batches that hold a budget of tokens, like lengths together, in an order made from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_POOL = 1 << 17  # examples that are sorted by length together


@dataclass(frozen=True)
class Batch:
    """Right-padded ids, int64, and the row numbers of their examples.

    source [B, S] ends with EOS, lengths [B] counts it; inputs [B, T] starts with BOS,
    outputs [B, T] is the same moved by one and ends with EOS; target_index [n] says where outputs,
    as one row of B · T, holds a token that counts and no padding. continues: whether each row is
    what follows the same row of the batch before.
    """

    examples: np.ndarray
    source: Tensor
    lengths: Tensor
    inputs: Tensor
    outputs: Tensor
    target_index: Tensor
    continues: bool = False

    def to(self, device: torch.device) -> Batch:
        """Move the tensors to a device; a GPU need not have them yet."""
        names = ("source", "lengths", "inputs", "outputs", "target_index")
        parts: dict[str, Tensor] = {name: getattr(self, name) for name in names}
        if device.type == "cuda":  # from pinned memory a GPU takes it without being waited for
            parts = {name: part.pin_memory() for name, part in parts.items()}
        moved = {name: part.to(device, non_blocking=True) for name, part in parts.items()}
        return replace(self, **moved)  # type: ignore[arg-type]


def plan_batches(lengths: np.ndarray, *, budget: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Put every row once into a batch of rows.

    lengths [n, 2]: subwords of source and target, without special ids. A batch's rows times its
    longest side (EOS counted) is at most `budget`; an example longer than that is a batch of its
    own.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(np.arange(len(lengths), dtype=np.int32))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), _POOL):
        pool = order[start : start + _POOL]
        # Sorting after the shuffle: examples of equal lengths meet in a new order in every epoch.
        # By the target, then by the source, up and down in turn: neighbours are near in both.
        source, target = lengths[pool].T
        # The direction is drawn: it makes other batches, too, where few examples have a length.
        parity, direction = random.integers(2), random.choice([-1, 1])
        ascending = target % 2 == parity
        pool = pool[np.lexsort((np.where(ascending, source, -source), direction * target))]
        batches.extend(_cut(pool, lengths[pool].max(axis=1) + 1, budget))
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(rows: np.ndarray, sizes: np.ndarray, budget: int) -> list[np.ndarray]:
    """Cut batches as large as the budget allows, rounded down by less than an eighth, so that they
    have few sizes (`runtime.row_multiple`): from 64 rows on to multiples of eight."""
    batches, lengths = [], sizes.tolist()
    start = 0
    while start < len(rows):
        end, longest = start, 0
        while end < len(rows):
            longest = max(longest, lengths[end])
            if longest * (end - start + 1) > budget and end > start:
                fitting = end - start
                end -= fitting % min(8, 1 << max(0, fitting.bit_length() - 4))
                break
            end += 1
        batches.append(rows[start:end])
        start = end
    return batches


def collate_examples(dataset: Dataset, rows: np.ndarray, codec: Codec) -> Batch:
    """Make the batch of the examples `rows`."""
    if not codec.task.has_target_text:
        return _collate_labelled(dataset, rows, codec)
    source = [dataset.ids(row, "source") for row in rows.tolist()]
    target = [dataset.ids(row, "target") for row in rows.tolist()]
    tokens, lengths = pad_sequences(source, codec.source.pad, codec.source.eos)
    pad, bos, eos = codec.target.pad, codec.target.bos, codec.target.eos
    outputs, target_lengths = pad_sequences(target, pad, eos)
    inputs = outputs.masked_fill(outputs == eos, pad).roll(1, dims=1)
    inputs[:, 0] = bos
    return Batch(rows, tokens, lengths, inputs, outputs, _target_index(outputs, target_lengths))


def _collate_labelled(dataset: Dataset, rows: np.ndarray, codec: Codec) -> Batch:
    """Make a batch whose targets are labels: one per text, or one per word. There are no inputs,
    and outputs [B, W] has no EOS."""
    # A source of words has EOS behind each of them, so behind the last one already.
    end = -1 if codec.task.labels_each_word else None
    texts = [dataset.ids(row, "source")[:end] for row in rows.tolist()]
    tokens, lengths = pad_sequences(texts, codec.source.pad, codec.source.eos)
    labels = [
        torch.from_numpy(dataset.ids(row, "target").astype(np.int64)) for row in rows.tolist()
    ]
    outputs = torch.nn.utils.rnn.pad_sequence(labels, batch_first=True)
    target_lengths = torch.tensor([len(row) for row in labels])
    target_index = _target_index(outputs, target_lengths)
    return Batch(rows, tokens, lengths, outputs[:, :0], outputs, target_index)


def _target_index(outputs: Tensor, lengths: Tensor) -> Tensor:
    counted = torch.arange(outputs.shape[1]) < lengths.unsqueeze(1)
    return counted.flatten().nonzero().squeeze(1)


def prefetch(make: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Call `make` on each item, in order; makes the next result meanwhile, in a thread."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        current: Future[_Result] | None = None
        for item in items:
            following = executor.submit(make, item)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()


def pad_sequences(sequences: list[np.ndarray], pad: int, eos: int) -> tuple[Tensor, Tensor]:
    """Pad lists of ids: tokens [B, S] int64 (EOS at each end) and lengths [B] (EOS counted)."""
    lengths = np.array([len(ids) + 1 for ids in sequences], np.int64)
    tokens = np.full((len(sequences), lengths.max()), pad, np.int64)
    tokens[np.arange(tokens.shape[1]) < lengths[:, None] - 1] = np.concatenate(sequences)
    tokens[np.arange(len(tokens)), lengths - 1] = eos
    return torch.from_numpy(tokens), torch.from_numpy(lengths)
