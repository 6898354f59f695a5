"""Batches that hold a budget of tokens, like lengths together, in an order made from a seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seq2seq.text.dataset import Dataset
from seq2seq.text.tokenizer import Tokenizers

_POOL = 1 << 17  # pairs that are sorted by length together


@dataclass(frozen=True)
class Batch:
    """Right-padded ids, int64, and the numbers of their pairs.

    source [B, S] ends with EOS, lengths [B] counts it; inputs [B, T] starts with BOS,
    outputs [B, T] is the same moved by one and ends with EOS.
    """

    rows: np.ndarray
    source: Tensor
    lengths: Tensor
    inputs: Tensor
    outputs: Tensor

    def to(self, device: torch.device) -> Batch:
        moved = (
            part.to(device, non_blocking=True)
            for part in (self.source, self.lengths, self.inputs, self.outputs)
        )
        return Batch(self.rows, *moved)


def plan(lengths: np.ndarray, *, budget: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Every row once, in batches of rows.

    lengths [n, 2]: subwords of each side without special ids. A batch's rows times its longest
    side (EOS counted) is at most `budget`; a pair longer than that is a batch of its own.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), _POOL):
        pool = order[start : start + _POOL]
        # Sorted after the shuffle: pairs of equal lengths meet in a new order in every epoch.
        pool = pool[np.lexsort((lengths[pool, 0], lengths[pool, 1]))]
        batches.extend(_cut(pool, lengths[pool].max(axis=1) + 1, budget))
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(rows: np.ndarray, sizes: np.ndarray, budget: int) -> list[np.ndarray]:
    batches = []
    start = longest = 0
    for position, size in enumerate(sizes.tolist()):
        longest = max(longest, size)
        if longest * (position - start + 1) > budget and position > start:
            batches.append(rows[start:position])
            start, longest = position, size
    batches.append(rows[start:])
    return batches


def collate(dataset: Dataset, rows: np.ndarray, tokenizers: Tokenizers) -> Batch:
    """The batch of the pairs `rows`."""
    source = [dataset.ids(row, 0) for row in rows.tolist()]
    target = [dataset.ids(row, 1) for row in rows.tolist()]
    left, right = tokenizers.source, tokenizers.target
    tokens, lengths = pad_source(source, left.pad, left.eos)
    size = max(map(len, target)) + 1
    inputs = np.full((len(rows), size), right.pad, np.int64)
    outputs = inputs.copy()
    inputs[:, 0] = right.bos
    for row, ids in enumerate(target):
        inputs[row, 1 : len(ids) + 1] = ids
        outputs[row, : len(ids)] = ids
        outputs[row, len(ids)] = right.eos
    return Batch(rows, tokens, lengths, torch.from_numpy(inputs), torch.from_numpy(outputs))


def pad_source(sequences: list[np.ndarray], pad: int, eos: int) -> tuple[Tensor, Tensor]:
    """Sequences of ids → tokens [B, S] int64 (EOS at each end) and lengths [B] (EOS counted)."""
    lengths = np.array([len(ids) + 1 for ids in sequences], np.int64)
    tokens = np.full((len(sequences), lengths.max()), pad, np.int64)
    for row, ids in enumerate(sequences):
        tokens[row, : len(ids)] = ids
        tokens[row, len(ids)] = eos
    return torch.from_numpy(tokens), torch.from_numpy(lengths)
