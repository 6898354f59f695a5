"""Ctrl-C and SIGTERM: a run stops after the update under way, saved."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - it is no error
    """A signal asked the run to stop; it has been saved. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}; the run is saved: go on with --resume")
        self.number = number


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Collect them; a second one acts at once, as it would have without us.

    Python hands signals to the main thread alone: in any other one, nothing is collected.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    caught: list[int] = []
    old: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        _log.warning("stopping after this update; once more to stop at once, unsaved")
        signal.signal(number, old[number])

    for wanted in SIGNALS:
        old[wanted] = signal.signal(wanted, note)
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
