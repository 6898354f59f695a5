"""Progress on a terminal: one live line on stderr, and nothing where stderr is a file or a pipe."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

Advance = Callable[[float], None]
_Item = TypeVar("_Item")

REFRESHES = 5  # of the live line a second


def is_terminal() -> bool:
    """Whether somebody sees what is shown on stderr, and has not asked for quiet: that sets the
    level of the logger "seq2seq" above INFO."""
    return sys.stderr.isatty() and logging.getLogger("seq2seq").level <= logging.INFO


@contextmanager
def show_progress(
    what: str, total: float | None = None, *, wanted: bool = True
) -> Iterator[Advance]:
    """Show a bar, and the time left, within it; yields the function to call with the amount of work
    that was done since the last call.

    what: the work, such as "translating". total: its amount, None if unknown. wanted: false for
    work whose output goes to the terminal itself.
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
            """Called for every line: the bar hears of it a few times a second."""
            nonlocal done, next_refresh
            done += amount
            if (now := time.monotonic()) >= next_refresh:
                next_refresh = now + 1 / REFRESHES
                bar.update(task, completed=done, count=f"{done:,.0f}{whole}")

        yield advance


def track(
    items: Iterable[_Item], what: str, total: float | None = None, *, wanted: bool = True
) -> Iterable[_Item]:
    """The items, with a bar that shows how many were taken; arguments as for `show_progress`."""
    if not (wanted and is_terminal()):
        return items  # and no generator around them
    return _tracked(items, what, total)


def _tracked(items: Iterable[_Item], what: str, total: float | None) -> Iterator[_Item]:
    with show_progress(what, total) as advance:
        for item in items:
            yield item
            advance(1)
