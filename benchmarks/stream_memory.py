"""Measure whether the memory of `seq2seq translate` grows with the number of lines.

    python benchmarks/stream_memory.py [--lines 1000000] MODEL SOURCE [OPTION...]

The program writes the lines of SOURCE to `seq2seq translate MODEL OPTION...` through a pipe, again
and again, and reads the translations. It prints the memory of the process and of its workers (PSS,
and the resident set size, RSS) after 1 % of the lines and then ten times, the last time when all
translations have arrived and before the end of the input. It fails if a line is lost, or if the
last PSS exceeds the first by more than 2 %.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from process_memory import tree_memory

LIMIT = 1.02


def feed(pipe: IO[bytes], lines: list[bytes], count: int, done: threading.Event) -> None:
    """Write `count` lines. Close the pipe when `done` is set, not earlier."""
    for start in range(0, count, len(lines)):
        pipe.write(b"".join(lines[: count - start]))
    pipe.flush()
    done.wait()
    pipe.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="Model folder or export.")
    parser.add_argument("source", type=Path, help="Text whose lines are repeated.")
    parser.add_argument("--lines", type=int, default=1_000_000, help="Lines (1,000,000).")
    parser.add_argument("options", nargs=argparse.REMAINDER, help="For seq2seq translate.")
    given = parser.parse_args()
    text = [line + b"\n" for line in given.source.read_bytes().split(b"\n")[:-1]]
    command = [sys.executable, "-m", "seq2seq", "translate", given.model, *given.options]
    warnings = tempfile.TemporaryFile()  # noqa: SIM115 - some lines are noted as too long or cut
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=warnings
    )
    assert process.stdin
    assert process.stdout
    done = threading.Event()
    threading.Thread(target=feed, args=(process.stdin, text, given.lines, done)).start()
    first = max(1, given.lines // 100)
    stops = {first, *(given.lines * tenth // 10 for tenth in range(1, 11))}
    measured, start = [], time.perf_counter()
    print(f"{' '.join(command[2:])}\n     lines  PSS, MiB  RSS, MiB  lines/s")
    try:
        for number in range(1, given.lines + 1):
            if not process.stdout.readline():
                raise SystemExit(f"the output ended after {number - 1:,} lines")
            if number in stops:
                pss, rss = (tree_memory(process.pid, field) for field in ("Pss", "Rss"))
                measured.append(pss)
                speed = number / (time.perf_counter() - start)
                print(f"{number:10,} {pss:9.1f} {rss:9.1f} {speed:8,.0f}", flush=True)
    finally:
        done.set()
    if process.stdout.read() or process.wait():
        warnings.seek(0)
        print(warnings.read()[-500:].decode(errors="replace"), file=sys.stderr)
        raise SystemExit("more lines came out than went in, or the command failed")
    ratio = measured[-1] / measured[0]
    print(f"at the end {100 * (ratio - 1):+.1f} % against {first:,} lines")
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
