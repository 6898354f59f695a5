"""Compare how fast systems translate, on one machine and in one run.

    benchmarks/decode.sh            makes the models and the peers, and runs this program

The systems are the standard model (standard.toml) in PyTorch (fp32, and bf16 if the processor has
it) and as exports (fp32, int8, int8 with a shortlist), a model of the same size in Eole and in
OpenNMT-py, and a Transformer of 4 layers of 256 in CTranslate2 (int8). PyTorch uses one thread per
core. Exports and CTranslate2 use one worker of one thread per core. All translations have 16
tokens, by force. Ours go from text to text; the peers get subwords and give subwords.

Each system stays loaded in a process of its own. First, all batch sizes are tried, one system after
the other. Then each round measures all systems in turn at their best batch sizes: sentences a
second, the latency of one line at a time, and start-up, from the start of the process to the first
translation. Ratios are the medians of the ratios of each round. Memory is the peak of the
proportional set size (PSS) of a system's processes.

Figures go to FOLDER/results.jsonl as they are measured. After an interruption, or with other
--systems, --resume keeps them and measures what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import decode_report
from decode_measurements import Measurements, folder_size, imports_torch
from decode_systems import System, all_systems

BATCHES = (1, 32, 64, 128, 256, 512)
BEAMS = (1, 5)


class Benchmark:
    """Measures the systems and appends every figure to a file."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.results = given, given.folder / "results.jsonl"
        if not given.resume:
            self.results.unlink(missing_ok=True)
        old = self.results.read_text(encoding="utf-8") if self.results.exists() else ""
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in old.splitlines()]
        self.systems = [one for one in all_systems(given.folder) if one.name in given.systems]
        self.measure = Measurements(given, self.systems)
        self.failed: set[str] = set()

    def once(self, system: System, kind: str, measure: Any, **key: Any) -> Any:
        """Return a figure: from the file if it is there, otherwise measured."""
        key = {"system": system.name, "kind": kind, **key}
        for row in self.rows:
            if key.items() <= row.items():
                return row["value"]
        if system.name in self.failed:
            return None
        try:
            value = measure()
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            print(f"{system.title}: {error}; it is left out", file=sys.stderr)
            self.failed.add(system.name)
            return None
        self.rows.append({**key, "value": value})
        with self.results.open("a", encoding="utf-8") as file:
            print(json.dumps(self.rows[-1]), file=file)
        shown = f"{value:,.1f}" if isinstance(value, float) else "done"
        print(" ".join(map(str, key.values())), shown, file=sys.stderr, flush=True)
        return value

    def run(self) -> None:
        """Measure everything that is not in the file yet."""
        try:
            for beam in BEAMS:
                for batch in self.given.batches:
                    for system in self.systems:
                        self._try_batch(system, beam, batch)
            for number in range(self.given.rounds):
                self._round(number)
            for system in self.systems:
                self._facts(system)
            # Pages that two processes share count half for each, so no other may run.
            self.measure.close()
            for system in self.systems:
                self._memory(system)
        finally:
            self.measure.close()

    def best(self, system: System, beam: int) -> tuple[int, float]:
        """Return the best batch size, and the sentences per second with it."""
        return decode_report.best_batch(self.rows, system.name, beam) or (1, 1.0)

    def _try_batch(self, system: System, beam: int, batch: int) -> None:
        count = min(512, max(256, 2 * batch)) if batch > 1 else 32
        count = min(4 * count if system.pooled else count, self.given.most)
        self.once(
            system,
            "trial",
            lambda: self.measure.speed(system, beam, batch, count),
            beam=beam,
            batch=batch,
        )

    def _round(self, number: int) -> None:
        for beam in BEAMS:
            for system in self.systems:
                batch, speed = self.best(system, beam)
                # Workers share windows of 512 lines. With a few lines, some would have no work.
                least = 4096 if system.pooled and system.is_ours else 1000
                count = min(max(least, int(speed * self.given.seconds)), self.given.most)
                key = {"beam": beam, "round": number}
                self.once(
                    system,
                    "speed",
                    lambda one=system, b=batch, n=count, beam=beam: self.measure.speed(
                        one, beam, b, n
                    ),
                    **key,
                )
            for system in self.systems:
                self.once(
                    system,
                    "latency",
                    lambda one=system, beam=beam: self.measure.latency(one, beam, number),
                    beam=beam,
                    round=number,
                )
        for system in self.systems:
            self.once(system, "start", lambda one=system: self.measure.start(one), round=number)
            if system.name == "int8":
                self.once(
                    system,
                    "peak",
                    lambda one=system: self.measure.int8_peak(one),
                    round=number,
                )

    def _memory(self, system: System) -> None:
        batch, _ = self.best(system, 5)
        for kind, cores in (("memory", self.given.cores), ("memory of one", 1)):
            if kind == "memory" or (system.pooled and self.given.cores > 1):
                self.once(system, kind, lambda n=cores: self.measure.memory(system, batch, n))

    def _facts(self, system: System) -> None:
        self.once(system, "folder", lambda: folder_size(system))
        for beam in BEAMS if system.name in ("int8", "shortlist") else ():
            self.once(
                system, "products", lambda b=beam: self.measure.products(system, b), beam=beam
            )
        if system.is_ours:
            self.once(system, "imports torch", lambda: imports_torch(system))


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("folder", type=Path, help="Folder with the models that decode.sh made.")
    add("source", type=Path, help="Text to translate, such as test_2016_flickr.en.gz.")
    names = [system.name for system in all_systems(Path("x/y"))]
    add("--systems", nargs="+", default=names, choices=names, help="Systems to measure (all).")
    add("--rounds", type=int, default=3, help="Number of rounds (default: 3).")
    add("--copies", type=int, default=10, help="How often the text is repeated (default: 10).")
    add("--seconds", type=float, default=4, help="Seconds per measurement of speed (default: 4).")
    add("--most", type=int, default=10_000, help="Most lines per measurement (default: 10,000).")
    add("--latency-lines", type=int, default=40, help="Lines per round, one at a time (40).")
    add("--batches", type=int, nargs="+", default=list(BATCHES), help="Batch sizes to try.")
    add("--cores", type=int, default=len(os.sched_getaffinity(0)), help="Cores to use (all).")
    add("--picture", type=Path, help="SVG file to draw the speeds of all batch sizes to.")
    add("--resume", action="store_true", help="Keep the figures of the run before.")
    return parser.parse_args()


def main() -> None:
    given = parsed()
    benchmark = Benchmark(given)
    benchmark.run()
    titles = {one.name: one.title for one in benchmark.systems}
    print(decode_report.table(benchmark.rows, titles, given.cores))
    if given.picture:
        decode_report.draw(benchmark.rows, titles, given.picture)


if __name__ == "__main__":
    main()
