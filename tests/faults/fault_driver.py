"""Run commands whose calls to the system fail, or that are killed, again and again.

A driver is a process that has imported everything and preloads fault_shim.c. It forks a child for
each trial, so that a trial does not pay for the imports.
"""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SHORT, KILL, KILL_INSIDE = -1, -2, -3  # as in fault_shim.c
ENOSPC, EIO = errno.ENOSPC, errno.EIO


@dataclass(frozen=True)
class Trial:
    """A command and its disturbance.

    arguments: what follows `seq2seq` on the command line.
    folder: the folder whose calls are counted.
    at: the number of the call to disturb, from 1; 0 for none.
    what: an errno, SHORT, KILL or KILL_INSIDE.
    room: bytes that fit on the disk, or -1.
    number, after: a signal, and how many seconds after the start it arrives.
    """

    arguments: list[str]
    folder: str
    at: int = 0
    what: int = 0
    room: int = -1
    number: int = 0
    after: float = 0.0
    stdin: str = os.devnull


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    code: the exit code; minus the number of a signal that killed it.
    err: what it wrote to stderr.
    calls: the names of the calls that were counted, for a command that was not killed.
    written: how many bytes these calls wrote.
    """

    code: int
    err: str
    seconds: float
    disturbed: bool = False
    calls: list[str] = field(default_factory=list)
    written: int = 0

    def refused(self, folder: Path) -> bool:
        """Whether it ended with one error message, which names a file inside the folder."""
        lines = self.err.strip().split("\n")
        return (
            self.code == 2
            and "Traceback" not in self.err
            and [line.startswith("error: ") for line in lines].count(True) == 1
            and lines[-1].startswith("error: ")
            and f"{folder}/" in lines[-1]
        )


class Driver:
    """The side of the tests."""

    def __init__(self, place: Path) -> None:
        shim = place / "shim.so"
        source = Path(__file__).with_name("fault_shim.c")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(place)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_PRELOAD": str(shim)},
            text=True,
        )

    def run(self, arguments: list[Any], folder: Path, **disturbance: Any) -> Ending:
        """Run a command in a child of the driver."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        trial = Trial([str(part) for part in arguments], str(folder), **disturbance)
        self.process.stdin.write(json.dumps(asdict(trial)) + "\n")
        self.process.stdin.flush()
        return Ending(**json.loads(self.process.stdout.readline()))

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def _run_command(trial: Trial, shim: Any, report: int, err: Path) -> None:
    """Run a command in this forked child, and end the child."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        plain = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, plain)
    for target, path, flags in (
        (0, trial.stdin, os.O_RDONLY),
        (1, os.devnull, os.O_WRONLY),
        (2, str(err), os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(path, flags), target)
    sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False))
    sys.argv = ["seq2seq", *trial.arguments]
    code = 1
    try:
        from seq2seq.cli import main

        shim.fault_arm(trial.folder.encode(), trial.at, trial.what, ctypes.c_longlong(trial.room))
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        found = {
            "disturbed": bool(shim.fault_disturbed()),
            "calls": [shim.fault_name(n + 1).decode() for n in range(shim.fault_calls())],
            "written": shim.fault_written(),
        }
        shim.fault_arm(b"", 0, 0, ctypes.c_longlong(-1))
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(report, json.dumps(found).encode())
        os._exit(code)


def _try(trial: Trial, shim: Any, place: Path) -> dict[str, Any]:
    """Fork a child for a trial, and return how it ended. A hanging child is killed after 120 s."""
    err = place / "err"
    report = os.open(place / "report", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _run_command(trial, shim, report, err)
    signalled = False
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        passed = time.monotonic() - start
        if passed > 120:
            os.kill(child, signal.SIGKILL)
        if trial.number and not signalled and passed >= trial.after:
            os.kill(child, trial.number)
            signalled = True
        time.sleep(0.002)
    with os.fdopen(report, "rb") as file:
        file.seek(0)
        said = json.loads(file.read() or b"{}")
    said["disturbed"] = said.get("disturbed", True) if trial.at or trial.room >= 0 else signalled
    return {
        "code": os.waitstatus_to_exitcode(ended[1]),
        "err": err.read_text(errors="replace") if err.exists() else "",
        "seconds": time.monotonic() - start,
        **said,
    }


def _serve(place: Path) -> None:
    """Import everything that commands import, and run the trials that arrive on stdin."""
    del os.environ["LD_PRELOAD"]
    import matplotlib.pyplot
    import onnx
    import onnxruntime
    import pandas
    import pyarrow.ipc  # noqa: F401
    import sacrebleu  # noqa: F401
    import torch._dynamo  # what every optimizer imports

    import seq2seq.cli.export
    import seq2seq.cli.train
    import seq2seq.cli.translate
    import seq2seq.export.exported_model
    import seq2seq.export.graphs
    import seq2seq.serve.worker  # noqa: F401
    from seq2seq.training import trainer

    assert all((matplotlib, onnx, onnxruntime, pandas))
    torch.set_num_threads(1)
    trainer.plot_curves = lambda *_: None  # a picture takes longer than a tiny run
    shim = ctypes.CDLL(None)
    shim.fault_name.restype = ctypes.c_char_p
    shim.fault_written.restype = ctypes.c_longlong
    for line in sys.stdin:
        print(json.dumps(_try(Trial(**json.loads(line)), shim, place)), flush=True)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
