"""Handle Ctrl-C and SIGTERM. The run finishes the current update, is saved, and stops."""

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


class Interrupted(Exception):  # noqa: N818 - not an error
    """The exception for a run that a signal stopped. The run has been saved.

    number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}; the run is saved, and --resume continues it")
        self.number = number


@contextmanager
def catch_signals() -> Iterator[list[int]]:
    """Yield a list that collects the numbers of SIGINT and SIGTERM signals as they arrive.

    A second signal of the same kind is not collected, but acts at once, as it would without this
    function. Outside the main thread, the list stays empty, because Python delivers signals only to
    the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    caught: list[int] = []
    old: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        _log.warning("stopping after this update; interrupt again to stop at once without saving")
        signal.signal(number, old[number])

    for wanted in SIGNALS:
        old[wanted] = signal.signal(wanted, note)
    try:
        yield caught
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
