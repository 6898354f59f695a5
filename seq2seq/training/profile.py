"""Where the time of an update goes: `seq2seq train --profile`."""

from __future__ import annotations

import logging
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from seq2seq.files import atomic_file

_log = logging.getLogger(__name__)

# What an update consists of, each marked with record_function where it happens.
PHASES = ("data", "encoder", "decoder", "output and loss", "backward", "optimizer")
_BEFORE, _WATCHED = 10, 30  # updates: until memory and caches are warm, and then
_OPERATIONS = 30  # the longest ones


class UpdateProfiler:
    """Watches some updates at the beginning of a training, and writes down what took how long."""

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path, self.count = path, 0
        activities = [ProfilerActivity.CPU]
        if device.type == "cuda":
            activities.append(ProfilerActivity.CUDA)
        self.profiler = profile(activities=activities)

    def updated(self) -> None:
        """To be called after every update."""
        self.count += 1
        if self.count == _BEFORE:
            self.profiler.start()
        elif self.count == _BEFORE + _WATCHED:
            self.profiler.stop()
            self._write(_WATCHED)

    def end(self) -> None:
        """To be called when the run is at its end: it may have been a short one."""
        watched = self.count - _BEFORE
        if 0 < watched < _WATCHED:
            self.profiler.stop()
            self._write(watched)
        elif watched <= 0:
            if watched == 0:
                self.profiler.stop()
            _log.warning(
                "no profile: the run made %d updates, %d are for warm-up", self.count, _BEFORE
            )

    def _write(self, watched: int) -> None:
        events = self.profiler.key_averages()
        total = sum(event.self_cpu_time_total for event in events)  # microseconds
        lines = [
            f"{watched} updates, {total / watched / 1e3:.1f} ms each (the profiler's own work "
            "among it)",
            "",
            f"{'phase':24}{'ms an update':>14}{'share':>8}",
        ]
        times = {event.key: event.cpu_time_total for event in events}
        phases = {name: times.get(name, 0.0) for name in PHASES}
        phases["the rest"] = total - sum(phases.values())
        for name, time in phases.items():
            lines.append(f"{name:24}{time / watched / 1e3:14.2f}{time / total:8.1%}")
        lines += ["", f"{'operation, by itself':48}{'ms an update':>14}{'share':>8}{'calls':>8}"]
        by_time = sorted(events, key=lambda event: -event.self_cpu_time_total)
        for event in by_time[:_OPERATIONS]:
            time = event.self_cpu_time_total
            lines.append(
                f"{event.key[:47]:48}{time / watched / 1e3:14.2f}{time / total:8.1%}"
                f"{event.count / watched:8.0f}"
            )
        with atomic_file(self.path) as aside:
            aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        _log.info("where the time goes: %s", self.path)
