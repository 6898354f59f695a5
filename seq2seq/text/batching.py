"""Group examples of similar lengths into batches.

A token budget limits the size of a batch, and a seed fixes the order of the batches.
"""

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
    """A batch of right-padded token ids. All tensors are int64.

    examples [B]: the row number of each example. For a language model, the position in the text at
        which each row of the batch starts.
    source [B, S]: the source ids of each example, with EOS at the end. If words have features, the
        source is [B, S, 1 + K]: the ids, and the features of each token.
    lengths [B]: the length of each source, in tokens, including EOS.
    inputs [B, T]: the decoder inputs for teacher forcing. They start with BOS.
    outputs [B, T]: the target ids with EOS at the end: the inputs shifted left by one step.
    target_index [n]: the positions in the flattened outputs [B * T] that count in the loss.
    copied [B, S]: for a model that copies, the target id that each source token becomes when it is
        copied (see `CopyTable.copied`). `source` and `inputs` then hold <unk> for unknown tokens.
    continues: True if each row continues the text of the same row in the previous batch.
    """

    examples: np.ndarray
    source: Tensor
    lengths: Tensor
    inputs: Tensor
    outputs: Tensor
    target_index: Tensor
    continues: bool = False
    copied: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device. A copy to a GPU may still be running on return."""
        names = ("source", "lengths", "inputs", "outputs", "target_index")
        parts: dict[str, Tensor] = {name: getattr(self, name) for name in names}
        if self.copied is not None:
            parts["copied"] = self.copied
        if device.type == "cuda":  # only a copy from pinned memory is asynchronous
            parts = {name: part.pin_memory() for name, part in parts.items()}
        moved = {name: part.to(device, non_blocking=True) for name, part in parts.items()}
        return replace(self, **moved)  # type: ignore[arg-type]


def plan_batches(lengths: np.ndarray, *, budget: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Group all rows of a dataset into batches. Return the row numbers of each batch.

    Each row is in exactly one batch. The size of a batch is its number of rows times the length of
    its longest source or target, including EOS. The size is at most `budget`. An example that is
    longer than the budget forms a batch of its own.

    Args:
        lengths: The number of subwords of source and target, without special ids, [n, 2].
        budget: The maximum size of a batch, in tokens, including padding.
        seed: The seed of the run. Together with the epoch it fixes the batches and their order.
        epoch: The number of the epoch.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(np.arange(len(lengths), dtype=np.int32))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), _POOL):
        pool = order[start : start + _POOL]
        # Sort after the shuffle, so that examples of equal length are in a new order every epoch.
        # Sort by target length, then by source length. The source order alternates between
        # ascending and descending, so that neighbours have similar lengths on both sides.
        source, target = lengths[pool].T
        # Choose the direction at random. This varies the batches even if few examples share a
        # length.
        parity, direction = random.integers(2), random.choice([-1, 1])
        ascending = target % 2 == parity
        pool = pool[np.lexsort((np.where(ascending, source, -source), direction * target))]
        batches.extend(_cut(pool, lengths[pool].max(axis=1) + 1, budget))
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(rows: np.ndarray, sizes: np.ndarray, budget: int) -> list[np.ndarray]:
    """Split rows, sorted by length, into batches that are as large as the budget allows.

    Then reduce the number of rows in each batch by less than an eighth, so that only a few
    different numbers of rows occur. A batch of 64 or more rows gets a multiple of 8 (see
    `runtime.row_multiple`).
    """
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
    """Return the padded batch of the examples with the row numbers `rows`."""
    if not codec.task.has_target_text:
        return _collate_labelled(dataset, rows, codec)
    source = [dataset.source(row) for row in rows.tolist()]
    target = [dataset.ids(row, "target") for row in rows.tolist()]
    tokens, lengths, copied = pad_sources(source, codec)
    pad, bos, eos = codec.target.pad, codec.target.bos, codec.target.eos
    outputs, target_lengths = pad_sequences(target, pad, eos)
    inputs = outputs.masked_fill(outputs == eos, pad).roll(1, dims=1)
    inputs[:, 0] = bos
    inputs.masked_fill_(inputs >= codec.target_size, codec.target.unk)
    index = _target_index(outputs, target_lengths)
    return Batch(rows, tokens, lengths, inputs, outputs, index, copied=copied)


def _collate_labelled(dataset: Dataset, rows: np.ndarray, codec: Codec) -> Batch:
    """Return a batch whose targets are labels: one per text, or one per word.

    The decoder inputs are empty, [B, 0]. The outputs are label numbers [B, W] without EOS, where W
    is the largest number of labels of an example.
    """
    # For word labels, EOS follows every word of the source. Drop the last EOS here, because
    # pad_sequences adds one.
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
    """Return the positions in the flattened outputs [B * T] that are not padding, [n] int64."""
    counted = torch.arange(outputs.shape[1]) < lengths.unsqueeze(1)
    return counted.flatten().nonzero().squeeze(1)


def prefetch(make: Callable[[_Item], _Result], items: Iterable[_Item]) -> Iterator[_Result]:
    """Yield `make(item)` for each item, in order. A background thread computes the next result."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        current: Future[_Result] | None = None
        for item in items:
            following = executor.submit(make, item)
            if current is not None:
                yield current.result()
            current = following
        if current is not None:
            yield current.result()


def pad_sources(sequences: list[np.ndarray], codec: Codec) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return padded sources and their lengths, like `pad_sequences`, and what the model copies.

    The third tensor is the field `copied` of a batch, or None for a model that does not copy.
    """
    tokens, lengths = pad_sequences(sequences, codec.source.pad, codec.source.eos)
    if not codec.copies:
        return tokens, lengths, None
    ids, (size, unk) = tokens if tokens.dim() == 2 else tokens[:, :, 0], codec.open_source
    copied = torch.from_numpy(codec.copy_table.copied(ids.numpy()))
    ids.masked_fill_(ids >= size, unk)
    return tokens, lengths, copied


def pad_sequences(sequences: list[np.ndarray], pad: int, eos: int) -> tuple[Tensor, Tensor]:
    """Append EOS to each sequence and pad all sequences to the same length.

    sequences: The ids of each sequence, [S], or the ids and features, [S, 1 + K]. EOS and padding
        have no features, and number 0 stands for no feature.

    Returns:
        tokens: The padded ids, [B, S] int64, or with features [B, S, 1 + K] int64.
        lengths: The length of each sequence, including EOS, [B] int64.
    """
    lengths = np.array([len(ids) + 1 for ids in sequences], np.int64)
    if (columns := max((ids.shape[1] for ids in sequences if ids.ndim == 2), default=0)) > 0:
        padded = np.zeros((len(sequences), lengths.max(), columns), np.int64)
        padded[:, :, 0] = pad
        for row, ids in zip(padded, sequences, strict=True):
            both = ids if ids.ndim == 2 else ids[:, None]
            row[: len(both), : both.shape[1]] = both
            row[len(both), 0] = eos
        return torch.from_numpy(padded), torch.from_numpy(lengths)
    tokens = np.full((len(sequences), lengths.max()), pad, np.int64)
    tokens[np.arange(tokens.shape[1]) < lengths[:, None] - 1] = np.concatenate(sequences)
    tokens[np.arange(len(tokens)), lengths - 1] = eos
    return torch.from_numpy(tokens), torch.from_numpy(lengths)
