"""Micro-batches: lines that wait for an answer, and lines of like length, worked on together."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


def windows(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items in lists of `size`, the last one shorter; reads no further ahead than that."""
    waiting = iter(items)
    while window := list(islice(waiting, size)):
        yield window


def waiting_windows(
    waiting: queue.Queue[Item | BaseException | None], size: int, patience: float
) -> Iterator[list[Item]]:
    """What waits in a queue, in lists of at most `size`.

    Blocks for the first item of a list, then takes those that follow each other within `patience`
    seconds: a single item is answered at once, and what a program sends in one go comes together.
    None ends the stream. An exception in the queue is raised here; the list it cuts off is lost.
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
    """Batches of texts that are sorted by length: at most `most` in each, and fewer very long ones,
    so that no batch needs more memory than sixteen texts of `longest`. alike: of one length."""
    start = 0
    for end, length in enumerate(lengths):
        many = end - start == most or (end - start + 1) * length > max(16 * longest, 2048)
        if end > start and (many or (alike and lengths[start] != length)):
            yield slice(start, end)
            start = end
    if start < len(lengths):
        yield slice(start, len(lengths))
