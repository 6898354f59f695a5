"""The memory of a process that may run for days."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import gc, os, sys, threading, time
from seq2seq import system

def resident():  # MiB
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20

system.RETURN_EVERY = 0.05
for _ in range(2):
    system.keep_freed_memory(endless=sys.argv[1] == "endless")
before = resident()
blocks = [bytearray(100_000) for _ in range(2000)]
kept = blocks[::100]
del blocks
gc.collect()
time.sleep(1)
print(resident() - before, threading.active_count())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
@pytest.mark.parametrize(("kind", "least", "most"), [("endless", 0, 40), ("short", 150, 250)])
def test_freed_memory(kind, least, most):
    """An endless process returns 190 MB that it freed, even between blocks that it still uses."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, kind], capture_output=True, text=True, check=True
    )
    grown, threads = map(float, done.stdout.split())
    assert least <= grown <= most
    assert threads == (2 if kind == "endless" else 1)
