"""Group incoming lines into lists of limited size, and texts of similar length into batches."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

# Number of lines to read ahead: enough that many lines of a batch have the same length.
LINES_AHEAD = 2048
LINES_AHEAD_PER_JOB = 1024  # the same, for each of several processes


def windows(items: Iterable[Item], size: int, *, first: int | None = None) -> Iterator[list[Item]]:
    """Yield lists of `size` items. The last list may be shorter.

    Only the items of one list are read at a time.

    first: the size of the first list. Each following list is four times as long, up to `size`.
    """
    waiting = iter(items)
    for now in _sizes(size, first):
        window = list(islice(waiting, now))
        if not window:
            return
        yield window


def _sizes(size: int, first: int | None) -> Iterator[int]:
    now = min(first or size, size)
    while True:
        yield now
        now = min(4 * now, size)


def waiting_windows(
    waiting: queue.Queue[Item | BaseException | None],
    size: int,
    patience: float,
    *,
    first: int | None = None,
) -> Iterator[list[Item]]:
    """Yield the items that arrive in a queue, in lists of at most `size` items.

    first: the largest size of the first list. Each following list may be four times as long, up to
        `size`.

    A list is yielded when it has `size` items, or when no further item arrives within `patience`
    seconds. So a single item does not wait long, and items that arrive together are yielded
    together. The wait for the first item of a list has no time limit.

    The item None ends the iteration. If an item is an exception, this function raises the exception
    and drops the items of the unfinished list.
    """
    ended = False
    sizes = _sizes(size, first)
    while not ended:
        window: list[Item] = []
        timeout: float | None = None
        now = next(sizes)
        while len(window) < now:
            try:
                item = waiting.get(timeout=timeout)
            except queue.Empty:
                break
            if isinstance(item, BaseException):
                raise item
            if item is None:
                ended = True
                break
            window.append(item)
            timeout = patience
        if window:
            yield window


def rows_by_length(
    lengths: Sequence[int], *, most: int, longest: int, alike: bool = False
) -> Iterator[list[int]]:
    """Divide texts into batches of similar length. Yields the row numbers of each batch.

    lengths: the lengths of the texts in tokens, in any order. Rows of equal length keep their
    order. The other arguments are those of `batches_by_length`.
    """
    order = sorted(range(len(lengths)), key=lambda row: lengths[row])
    ascending = [lengths[row] for row in order]
    for now in batches_by_length(ascending, most=most, longest=longest, alike=alike):
        yield order[now]


def batches_by_length(
    lengths: Sequence[int], *, most: int, longest: int, alike: bool = False
) -> Iterator[slice]:
    """Divide texts that are sorted by length into batches. Yields one slice for each batch.

    lengths: the lengths of the texts in tokens, in ascending order.
    most: the largest number of texts in a batch.
    longest: a limit for the memory of a batch. A batch of several texts has at most
    max(16 * longest, 2048) tokens, including padding.
    alike: whether all texts of a batch must have the same length.
    """
    start = 0
    for end, length in enumerate(lengths):
        many = end - start == most or (end - start + 1) * length > max(16 * longest, 2048)
        if end > start and (many or (alike and lengths[start] != length)):
            yield slice(start, end)
            start = end
    if start < len(lengths):
        yield slice(start, len(lengths))
