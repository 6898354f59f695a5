"""A text as one stream of ids, cut into windows: what a language model learns from.

Contiguous windows (truncated backpropagation through time, Werbos 1990; Mikolov et al. 2010): the
stream is a ring, cut at a place drawn anew for every epoch and parted into B streams of like
length; window k of each stream follows its window k - 1, whose last state it starts from. Random
windows stand for themselves, and start from zeros.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from seq2seq.text.batching import Batch
from seq2seq.text.tokenizer import Tokenizer


def concatenate_lines(
    parts: Iterable[tuple[np.ndarray, np.ndarray]], tokenizer: Tokenizer, *, line_ends: bool
) -> np.ndarray:
    """The ids of all lines, one behind the other, [n] int32, each with EOS if there are
    `line_ends`. parts: offsets and values of lists of ids, as `Dataset.columns` gives them."""
    ids = [np.zeros(0, np.int32)]
    for offsets, values in parts:
        ends, part = offsets[1:] - offsets[0], values[offsets[0] : offsets[-1]]
        ids.append(np.insert(part, ends, tokenizer.eos) if line_ends else part)
    return np.concatenate(ids).astype(np.int32, copy=False)


def plan_windows(
    size: int, *, streams: int, window: int, seed: int, epoch: int, contiguous: bool
) -> list[np.ndarray]:
    """Every one of `size` ids once, as batches of windows.

    A batch is [B, 3] int64, a window a row: where it starts, how many of its ids count, and 1
    where it goes on from the same row of the batch before. Its windows are of one length, at most
    `window`; those that count for less reach into ids that another one counts.
    """
    random = np.random.default_rng([seed, epoch])
    streams = min(streams, size)
    offset = int(random.integers(size))
    if contiguous:
        length = -(-size // streams)
        starts = np.arange(streams) * length
        ends = np.minimum(starts + length, size)
        batches = []
        for first in range(0, length, window):
            steps = min(window, length - first)
            counts = np.clip(ends - starts - first, 0, steps)
            continues = np.full(streams, int(first > 0))
            batches.append(np.stack([starts + first + offset, counts, continues], axis=1))
        return batches
    starts = np.arange(0, size, window)
    counts = np.minimum(window, size - starts)
    order = random.permutation(len(starts))
    rows = np.stack([starts + offset, counts, np.zeros_like(starts)], axis=1)[order]
    return [rows[i : i + streams] for i in range(0, len(rows), streams)]


def collate_windows(ids: np.ndarray, rows: np.ndarray, window: int, tokenizer: Tokenizer) -> Batch:
    """The batch of some windows; what comes before the first id of all is BOS."""
    steps = min(window, int(rows[:, 1].max(initial=1)))
    positions = (rows[:, :1] + np.arange(-1, steps)) % len(ids)  # [B, T + 1]
    tokens = ids[positions].astype(np.int64)
    inputs = np.where(positions[:, 1:] == 0, tokenizer.bos, tokens[:, :-1])
    target_index = np.flatnonzero(np.arange(steps) < rows[:, 1:2])
    return Batch(
        rows[:, 0] % len(ids),
        torch.zeros(len(rows), 0, dtype=torch.int64),
        torch.zeros(len(rows), dtype=torch.int64),
        torch.from_numpy(inputs),
        torch.from_numpy(tokens[:, 1:].copy()),
        torch.from_numpy(target_index),
        continues=bool(rows[0, 2]),
    )


def consecutive_windows(ids: np.ndarray, window: int, tokenizer: Tokenizer) -> Iterator[Batch]:
    """The text from beginning to end as one stream, window by window."""
    for start in range(0, len(ids), window):
        count = min(window, len(ids) - start)
        yield collate_windows(ids, np.array([[start, count, int(start > 0)]]), window, tokenizer)
