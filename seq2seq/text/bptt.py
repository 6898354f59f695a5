"""Split a long text into windows, the training batches of a language model.

All lines of the text form one sequence of ids. In every epoch, the first window starts at a random
position, and the sequence wraps around at its end. There are two kinds of windows:

- contiguous: The sequence is split into B streams of similar length. The network starts each window
  from its final state in the previous window of the stream. This is truncated backpropagation
  through time (Werbos 1990; Mikolov et al. 2010).
- random: The windows are shuffled. The network starts each window from a zero state.
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
    """Concatenate the ids of all lines. Return one array of ids, [n] int32.

    Args:
        parts: Pairs of offsets and values, in the form that `Dataset.columns` yields.
        tokenizer: The tokenizer that encoded the lines, which defines the id of EOS.
        line_ends: Append EOS to every line.
    """
    ids = [np.zeros(0, np.int32)]
    for offsets, values in parts:
        ends, part = offsets[1:] - offsets[0], values[offsets[0] : offsets[-1]]
        ids.append(np.insert(part, ends, tokenizer.eos) if line_ends else part)
    return np.concatenate(ids).astype(np.int32, copy=False)


def plan_windows(
    size: int, *, streams: int, window: int, seed: int, epoch: int, contiguous: bool
) -> list[np.ndarray]:
    """Split a sequence of `size` ids into windows and group the windows into batches.

    Return one array [B, 3] int64 per batch, with one row per window. The columns are:

    - the position where the window starts
    - the number of ids in the window that count in the loss
    - 1 if the window continues the same row of the previous batch, otherwise 0

    Every id counts in the loss of exactly one window. All windows of a batch have the same length,
    so two windows may overlap. The ids in the overlap count in only one of the two windows.

    Args:
        size: The number of ids in the text.
        streams: The number of windows in a batch, B.
        window: The maximum length of a window, in ids.
        seed: The seed of the run. Together with the epoch it fixes the windows and their order.
        epoch: The number of the epoch.
        contiguous: Return contiguous windows instead of random ones (see the module docstring).
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
    """Build a batch from some windows (sections) of a text.

    The input of each step is the previous id of the text. At the start of the text, the input is
    BOS.

    Args:
        ids: The ids of the whole text, [n].
        rows: The windows [B, 3] in the format of the arrays that `plan_windows` returns.
        window: The maximum length of a window, in ids.
        tokenizer: The tokenizer of the text, which defines the id of BOS.
    """
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
    """Yield all windows (sections) of the text in order. Each window is a batch with one row."""
    for start in range(0, len(ids), window):
        count = min(window, len(ids) - start)
        yield collate_windows(ids, np.array([[start, count, int(start > 0)]]), window, tokenizer)
