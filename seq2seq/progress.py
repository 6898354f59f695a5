"""Show a progress bar on stderr if stderr is a terminal. A file or a pipe gets no bar."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Advance = Callable[[float], None]
_Item = TypeVar("_Item")

REFRESHES = 5  # updates of the progress bar per second


def is_terminal() -> bool:
    """Return whether stderr is a terminal and the user did not pass --quiet.

    Progress bars are shown only in this case. --quiet raises the level of the logger "seq2seq"
    above INFO, so the function checks this level.
    """
    return sys.stderr.isatty() and logging.getLogger("seq2seq").level <= logging.INFO


@contextmanager
def show_progress(
    what: str, total: float | None = None, *, wanted: bool = True
) -> Iterator[Advance]:
    """Show a progress bar with the elapsed and the remaining time while the `with` block runs.

    Yields a function. Call it with the amount of work that was done since the last call.

    Args:
        what: The name of the work, such as "translating".
        total: The total amount of work, or None if it is unknown.
        wanted: Whether to show the bar. Pass False for work that prints to the terminal itself.
    """
    if not (wanted and is_terminal()):
        yield lambda amount: None
        return
    from rich.console import Console  # slow to import
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    whole = "" if total is None else f" of {total:,.0f}"
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        *([] if total is None else [TextColumn("left"), TimeRemainingColumn()]),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=REFRESHES,
    ) as bar:
        task = bar.add_task(what, total=total, count="")
        done, next_refresh = 0.0, 0.0

        def advance(amount: float) -> None:
            nonlocal done, next_refresh
            done += amount
            if (now := time.monotonic()) >= next_refresh:
                next_refresh = now + 1 / REFRESHES
                bar.update(task, completed=done, count=f"{done:,.0f}{whole}")

        yield advance


def track(
    items: Iterable[_Item], what: str, total: float | None = None, *, wanted: bool = True
) -> Iterable[_Item]:
    """Return an iterable of the items that shows a progress bar during the iteration.

    If no bar is shown, `items` itself is returned.

    Args:
        items: The items.
        what: The name of the work, such as "translating".
        total: The number of items, or None if it is unknown.
        wanted: Whether to show the bar.
    """
    if not (wanted and is_terminal()):
        return items
    return _tracked(items, what, total)


def _tracked(items: Iterable[_Item], what: str, total: float | None) -> Iterator[_Item]:
    with show_progress(what, total) as advance:
        for item in items:
            yield item
            advance(1)
