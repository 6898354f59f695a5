"""Stop the program after Ctrl-C, SIGTERM or SIGHUP, but not in the middle of an import."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LATER = 0.05  # seconds until a signal is sent again


def stop_cleanly() -> None:
    """Let SIGINT, SIGTERM and SIGHUP raise an exception, so that the output so far is kept.

    If the program ignores a signal (for example SIGHUP under nohup), it continues to do so. Outside
    the main thread, nothing changes, because Python delivers signals only to the main thread.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        if not postpone(number, frame):
            stop_now(number)

    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
                signal.signal(number, stop)


def stop_now(number: int) -> None:
    """Raise KeyboardInterrupt for SIGINT and SystemExit for another signal."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def postpone(number: int, frame: FrameType | None) -> bool:
    """If a signal arrived during an import, send it again a little later.

    An exception during an import of numpy, pyarrow or matplotlib is lost in their C code, or leaves
    a module that is only partly imported.

    number: the number of the signal.
    frame: the frame in which the signal arrived.

    Returns whether the signal is sent again.
    """
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    if frame is None:
        return False
    timer = threading.Timer(_LATER, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()
    return True
