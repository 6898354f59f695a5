"""The memory of a process and its descendants, from /proc."""

from __future__ import annotations

import threading
from pathlib import Path


class Sampling:
    """Samples the memory of a process and its descendants while a block runs.

    peak: the largest sum of their proportional set sizes so far, in MiB.
    """

    def __init__(self, pid: int) -> None:
        self.pid, self.peak = pid, 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample)

    def __enter__(self) -> Sampling:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._ended.wait(0.02):
            self.peak = max(self.peak, tree_memory(self.pid))


def tree_memory(pid: int, field: str = "Pss") -> float:
    """Return the memory of a process and its descendants in MiB. field: of smaps_rollup."""
    total = 0.0
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                total = int(line.split()[1]) / 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text(encoding="utf-8").split():
                total += tree_memory(int(child), field)
    except (OSError, ValueError):  # it ended
        pass
    return total
