"""Group lines into windows in the order of arrival, and into batches of similar length."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield lists of `size` items; the last list may be shorter. Reads one list at a time."""
    waiting = iter(items)
    while window := list(islice(waiting, size)):
        yield window


def waiting_windows(
    waiting: queue.Queue[Item | BaseException | None], size: int, patience: float
) -> Iterator[list[Item]]:
    """Yield the items that arrive in a queue, in lists of at most `size`.

    A list is complete if no further item arrives within `patience` seconds. A single item is
    therefore yielded quickly, and items that arrive together are yielded together. There is no time
    limit for the first item of a list.

    The item None ends the iteration. An exception in the queue is raised here, and the items of the
    unfinished list are lost.
    """
    ended = False
    while not ended:
        window: list[Item] = []
        timeout: float | None = None
        while len(window) < size:
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


def batches_by_length(
    lengths: Sequence[int], *, most: int, longest: int, alike: bool = False
) -> Iterator[slice]:
    """Yield slices that divide texts, sorted by length, into batches.

    lengths: the lengths of the texts in tokens, in ascending order. most: the largest number of
    texts in a batch. longest: limits the memory of a batch. A batch of several texts has at most
    `16 * longest` tokens or 2048, whichever is larger, including padding. alike: put only texts of
    equal length into a batch.
    """
    start = 0
    for end, length in enumerate(lengths):
        many = end - start == most or (end - start + 1) * length > max(16 * longest, 2048)
        if end > start and (many or (alike and lengths[start] != length)):
            yield slice(start, end)
            start = end
    if start < len(lengths):
        yield slice(start, len(lengths))
