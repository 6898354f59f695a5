"""The operating system: the cores that a process may use, and how it keeps freed memory."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable

RETURN_EVERY = 20.0  # seconds
_THREAD = "return freed memory"


def keep_freed_memory(*, endless: bool = False) -> None:
    """Make the C library glibc keep freed memory for reuse instead of returning it to the system.

    By default, glibc requests every large block of memory from the system again in each update. The
    resulting page faults take a third of the training time of a small model. With another C
    library, this function does nothing.

    endless: whether the process may run for days. Gaps between blocks of memory would add up, so
        that such a process returns its freed memory every 20 seconds.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, malloc_trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError):
        return
    malloc_trim(0)  # return what was freed so far, because it is not needed again
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 64 << 20)
    if endless and not any(thread.name == _THREAD for thread in threading.enumerate()):
        threading.Thread(target=_repeat, args=(malloc_trim,), name=_THREAD, daemon=True).start()


def _repeat(trim: Callable[[int], int]) -> None:
    while True:
        time.sleep(RETURN_EVERY)
        trim(0)


def usable_cores() -> int:
    """Return the number of cores that this process may use.

    If the system does not report this number, return the number of all cores.
    """
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1
