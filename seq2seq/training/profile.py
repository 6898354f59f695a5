"""Measure how much time each part of an update takes, for `seq2seq train --profile`."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from seq2seq.errors import counted
from seq2seq.files import atomic_file

_log = logging.getLogger(__name__)

# The phases of an update. The code of each phase is marked with record_function.
PHASES = ("data", "encoder", "decoder", "output and loss", "backward", "optimizer")
_BEFORE, _WATCHED = 10, 30  # updates for warming up memory and caches, updates to measure
_OPERATIONS = 30  # number of operations to list, slowest first


class UpdateProfiler:
    """A profiler that measures some early updates of a run and writes a table of their times."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path, self.count = path, 0
        activities = [ProfilerActivity.CPU]
        if device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self.profiler = profile(activities=activities)

    def updated(self) -> None:
        """Count an update. Call this method after every update."""
        self.count += 1
        if self.count == _BEFORE:
            self.profiler.start()
        elif self.count == _BEFORE + _WATCHED:
            self.profiler.stop()
            self._write(_WATCHED)

    def end(self) -> None:
        """Write the profile if the run ended before all updates were measured.

        Call this method at the end of the run.
        """
        watched = self.count - _BEFORE
        if 0 < watched < _WATCHED:
            self.profiler.stop()
            self._write(watched)
        elif watched <= 0:
            if watched == 0:
                self.profiler.stop()
            _log.warning(
                "no profile: the run made %s, but the first %d are only warm-up; "
                "train for more updates",
                counted(self.count, "update"),
                _BEFORE,
            )

    def _write(self, watched: int) -> None:
        events = self.profiler.key_averages()
        total = sum(event.self_cpu_time_total for event in events)  # microseconds
        lines = [
            f"{watched} updates, {total / watched / 1e3:.1f} ms each (including the "
            "profiler's own work)",
            "",
            f"{'phase':24}{'ms per update':>14}{'share':>8}",
        ]
        times = {event.key: event.cpu_time_total for event in events}
        phases = {name: times.get(name, 0.0) for name in PHASES}
        phases["the rest"] = total - sum(phases.values())
        for name, time in phases.items():
            lines.append(f"{name:24}{time / watched / 1e3:14.2f}{time / total:8.1%}")
        lines += ["", f"{'operation, own time':48}{'ms per update':>14}{'share':>8}{'calls':>8}"]
        by_time = sorted(events, key=lambda event: -event.self_cpu_time_total)
        for event in by_time[:_OPERATIONS]:
            time = event.self_cpu_time_total
            lines.append(
                f"{event.key[:47]:48}{time / watched / 1e3:14.2f}{time / total:8.1%}"
                f"{event.count / watched:8.0f}"
            )
        with atomic_file(self.path) as aside:
            aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        _log.info("wrote the profile of the updates to %s", self.path)
