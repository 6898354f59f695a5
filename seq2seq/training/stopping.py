"""Handle Ctrl-C, SIGTERM and SIGHUP. A training run is saved before the program stops."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from seq2seq.signals import SIGNALS, postpone, stop_now

_log = logging.getLogger(__name__)


class Interrupted(Exception):  # noqa: N818 - not an error
    """The exception for a run that a signal stopped. The run has been saved.

    number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}; the run is saved, and --resume continues it")
        self.number = number


@dataclass
class SignalWatch:
    """The signals that have arrived so far.

    caught: the numbers of these signals.
    training: whether the run is in training, so that it has to be saved before it stops.
    """

    caught: list[int] = field(default_factory=list)
    training: bool = False

    def start_training(self) -> None:
        """From now on, collect signals instead of stopping the program at once.

        If a signal has already arrived, raise its exception, because a library may have swallowed
        the exception when the signal arrived.
        """
        self.training = True
        for number in self.caught:
            stop_now(number)


@contextmanager
def catch_signals() -> Iterator[SignalWatch]:
    """Watch for SIGINT, SIGTERM and SIGHUP in a block that prepares a run and then trains.

    During preparation, a signal stops the program at once. During training, a signal is collected,
    and a second signal of the same kind acts as it would without this function. If the program
    ignores a signal (for example SIGHUP under nohup), it stays ignored. Outside the main thread, no
    signal is caught, because Python delivers signals only to the main thread.
    """
    watch = SignalWatch()
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    old: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        if not watch.training and postpone(number, frame):
            return
        watch.caught.append(number)
        signal.signal(number, old[number])
        if not watch.training:
            stop_now(number)
        _log.warning("stopping after this update; interrupt again to stop at once without saving")

    for wanted in SIGNALS:
        if signal.getsignal(wanted) is not signal.SIG_IGN:
            old[wanted] = signal.signal(wanted, note)
    try:
        yield watch
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
