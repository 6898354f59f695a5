"""The measurements of benchmarks/decode.py: speed, latency, start-up, memory and others."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from typing import Any

from decode_systems import Running, System
from process_memory import Sampling
from text_lines import read_lines

# Our programs set this themselves (seq2seq/system.py); it makes PyTorch faster.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


class Measurements:
    """Measures systems. The process of each system stays loaded.

    given: the options of benchmarks/decode.py.
    """

    def __init__(self, given: argparse.Namespace, systems: list[System]) -> None:
        text = read_lines(given.source)
        pieces = read_lines(given.folder.parent / "peers" / "test.source")
        if len(text) != len(pieces):
            raise SystemExit(f"{given.source} has {len(text)} lines, test.source {len(pieces)}")
        self.lines = {True: text * given.copies, False: pieces * given.copies}
        self.cores, self.copies, self.most = given.cores, given.copies, given.most
        self.latency_lines = given.latency_lines
        self.running = {one.name: Running(one, given.cores, **ALLOCATOR) for one in systems}

    def close(self) -> None:
        """End the processes of all systems."""
        for process in self.running.values():
            process.close()

    def speed(self, system: System, beam: int, batch: int, count: int) -> float:
        """Return the number of sentences per second.

        count: the number of lines to translate.
        """
        lines = self.lines[system.is_ours][:count]
        answer = self.running[system.name].ask(do="speed", lines=lines, beam=beam, batch=batch)
        return float(answer["tokens"] / answer["seconds"] / 16)

    def latency(self, system: System, beam: int, number: int) -> list[float]:
        """Return the milliseconds of each line in one round, one line at a time."""
        every = self.lines[system.is_ours]
        step = max(1, len(every) // self.copies // self.latency_lines)
        lines = every[number % step :: step][: self.latency_lines]
        process = self.running[system.name]
        process.ask(do="latency", lines=lines[:2], beam=beam)
        return list(process.ask(do="latency", lines=lines, beam=beam)["milliseconds"])

    def start(self, system: System) -> float:
        """Return the seconds from the start of a process to the translation of one line."""
        line = self.lines[system.is_ours][0]
        start = time.perf_counter()
        if not system.is_ours:
            process = Running(system, self.cores)
            process.ask(do="latency", lines=[line], beam=5)
            seconds = time.perf_counter() - start
            process.close()
            return seconds
        command = [sys.executable, "-m", "seq2seq", "translate", str(system.model)]
        command += ["--precision", system.precision] if system.precision != "fp32" else []
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as one:
            assert one.stdin
            assert one.stdout
            one.stdin.write(f"{line}\n".encode())
            one.stdin.flush()
            if not one.stdout.readline():
                raise RuntimeError(f"no translation from {' '.join(command)}")
            seconds = time.perf_counter() - start
            one.stdin.close()
        return seconds

    def memory(self, system: System, batch: int, cores: int) -> float:
        """Return the peak memory in MiB of a fresh process that translates with beam 5.

        cores: the number of cores, and therefore of threads or workers.
        """
        process = Running(system, cores)
        with Sampling(process.start().pid) as sampling:
            lines = self.lines[system.is_ours][: 2048 if system.pooled else 512]
            process.ask(do="speed", lines=lines[: self.most], beam=5, batch=batch)
        process.close()
        return sampling.peak

    def int8_peak(self, system: System) -> Any:
        """Return the largest number of 8-bit multiply-adds a second of one thread."""
        return self.running[system.name].ask(do="int8_peak")["value"]

    def products(self, system: System, beam: int) -> Any:
        """Return the mean number of multiply-adds that the translation of a line needs."""
        lines = self.lines[True][:1000]
        return self.running[system.name].ask(do="products", lines=lines, beam=beam)["value"]


def folder_size(system: System) -> float:
    """Return the size of a model in MiB."""
    files = [system.model] if system.model.is_file() else system.model.rglob("*")
    # Eole keeps the state of the optimizer in the folder, and links to the files.
    kept = (f for f in files if f.name != "optimizer.pt" and f.is_file())
    return sum(path.stat().st_size for path in kept if not path.is_symlink()) / 2**20


def imports_torch(system: System) -> bool:
    """Return whether `seq2seq translate` imports PyTorch."""
    command = [sys.executable, "-X", "importtime", "-m", "seq2seq", "translate", str(system.model)]
    said = subprocess.run(command, input="A dog.\n", capture_output=True, text=True, check=True)
    return any(line.split("|")[-1].strip() == "torch" for line in said.stderr.splitlines())
