"""Run a trial in a child process whose time and memory are limited."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from seq2seq.errors import UserError

SECONDS, BYTES = 10, 1 << 30
WHOLE = os.environ.get("SEQ2SEQ_FAULTS") == "whole"  # what `make faults` sets


@dataclass(frozen=True)
class Outcome:
    """The end of a trial.

    kind: "opened", "refused" (a UserError), "traceback", "signal" or "hang".
    seconds: CPU time, because other programs may slow the trial down.
    """

    kind: str
    said: str
    seconds: float


def run_limited(work: Callable[[], object], *, extra: int = BYTES) -> Outcome:
    """Run `work` in a forked child that may use `extra` more bytes of memory than this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _work_in_child(work, writer, extra)
    os.close(writer)
    try:
        ready, _, _ = select.select([reader], [], [], 12 * SECONDS)
        said = os.read(reader, 1 << 16) if ready else b""
    finally:
        os.close(reader)
    if not ready:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    seconds = usage.ru_utime + usage.ru_stime
    if not ready:
        return Outcome("hang", "", seconds)
    if not said:
        return Outcome("signal", f"status {status}", seconds)
    return Outcome(*json.loads(said), seconds)


def _work_in_child(work: Callable[[], object], writer: int, extra: int) -> None:
    """Send the kind of the outcome and its text, and end the process without any clean-up."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            result = ["opened", repr(work())[:2000]]
        except UserError as error:
            result = ["refused", str(error)[:2000]]
        except BaseException:
            result = ["traceback", traceback.format_exc()[-2000:]]
        os.write(writer, json.dumps(result).encode())
    finally:
        os._exit(0)


def record(trial: str, tried: int, survived: int, note: str = "") -> None:
    """Add a row to the file that docs/reliability.md is made from, if `make faults` names one."""
    if path := os.environ.get("SEQ2SEQ_FAULTS_REPORT"):
        notes = "; ".join(filter(None, ("all trials" if WHOLE else "", note)))
        row = {"trial": trial, "tried": tried, "survived": survived, "note": notes}
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
