"""A signal during an import stops the program after the import, not in the middle."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_MODULE = """
import os, signal
try:
    os.kill(os.getpid(), signal.{name})
    for _ in range(100_000):
        pass
except BaseException:  # as the C code of some modules does
    raise ImportError("half imported")
print("imported", flush=True)
"""
_PROGRAM = """
import sys, time
from seq2seq.signals import stop_cleanly
stop_cleanly()
import slow
time.sleep(30)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_the_import_ends_first(tmp_path, name, code):
    (tmp_path / "slow.py").write_text(_MODULE.format(name=name))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        # A parent such as nohup may ignore SIGHUP.
        preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_DFL),
    )
    assert done.stdout == "imported\n"
    assert "half imported" not in done.stderr
    assert done.returncode in (code, -getattr(signal, name))
