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
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import decode_report

HERE = Path(__file__).parent
BATCHES = (1, 32, 64, 128, 256, 512)
BEAMS = (1, 5)
# Our programs set this themselves (seq2seq/system.py); it makes PyTorch faster.
ALLOCATOR = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True)
class System:
    """A model in a toolkit.

    decoder: the program of decoders/ that runs it. pooled: one worker of one thread per core,
    instead of one process with a thread per core. is_ours: it reads text rather than subwords.
    """

    name: str
    title: str
    python: str
    decoder: str
    model: Path
    pooled: bool = False
    is_ours: bool = False
    precision: str = "fp32"

    def command(self, cores: int) -> list[str]:
        """Return the command that starts the decoder."""
        threads, workers = (1, cores) if self.pooled else (cores, 1)
        options = ["--threads", str(threads), "--workers", str(workers)]
        options += ["--precision", self.precision]
        return [self.python, str(HERE / "decoders" / self.decoder), str(self.model), *options]


def all_systems(folder: Path) -> list[System]:
    """Return the systems that decode.sh makes."""
    peers, ours = folder.parent / "peers", {"python": sys.executable, "decoder": "ours.py"}
    ours |= {"is_ours": True}
    python = {name: str(folder.parent / name / "bin/python") for name in ("eole", "opennmt")}
    model = folder / "model"
    systems = [
        System("pytorch-fp32", "ours, PyTorch fp32", model=model, **ours),
        System("pytorch-bf16", "ours, PyTorch bf16", model=model, precision="bf16", **ours),
        System("fp32", "ours, export fp32", model=folder / "fp32", pooled=True, **ours),
        System("int8", "ours, export int8", model=folder / "int8", pooled=True, **ours),
        System(
            "shortlist", "ours, int8 + shortlist", model=folder / "shortlist", pooled=True, **ours
        ),
        System("eole", "Eole 0.6.4 fp32", python["eole"], "eole_toolkit.py", peers / "eole"),
        System(
            "opennmt",
            "OpenNMT-py 3.5.1 fp32",
            python["opennmt"],
            "opennmt.py",
            peers / "opennmt.pt",
        ),
        System(
            "ctranslate2",
            "CTranslate2 4.8 int8, Transformer 4 × 256",
            python["eole"],
            "ctranslate.py",
            peers / "transformer",
            pooled=True,
        ),
    ]
    has_bf16 = "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return [system for system in systems if has_bf16 or system.precision != "bf16"]


class Running:
    """A decoder process, which starts with the first question."""

    def __init__(self, system: System, cores: int, **environment: str) -> None:
        self.command = system.command(cores)
        self.environment = {**os.environ, "OMP_NUM_THREADS": str(cores), **environment}
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """Start the process unless it runs already."""
        if self.process is None:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self.environment,
                text=True,
            )
        return self.process

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer. Raises RuntimeError if the process died."""
        process = self.start()
        assert process.stdin
        assert process.stdout
        try:
            print(json.dumps(request), file=process.stdin, flush=True)
            answer: dict[str, Any] = json.loads(process.stdout.readline())
        except (OSError, ValueError):
            self.close()
            raise RuntimeError(f"this program died: {' '.join(self.command)}") from None
        return answer

    def close(self) -> None:
        """End the process."""
        if self.process and self.process.stdin:
            try:
                self.process.stdin.close()
                self.process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.process = None


class Benchmark:
    """Measures the systems and appends every figure to a file."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.results = given, given.folder / "results.jsonl"
        if not given.resume:
            self.results.unlink(missing_ok=True)
        old = self.results.read_text(encoding="utf-8") if self.results.exists() else ""
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in old.splitlines()]
        text = read_lines(given.source)
        pieces = read_lines(given.folder.parent / "peers" / "test.source")
        if len(text) != len(pieces):
            raise SystemExit(f"{given.source} has {len(text)} lines, test.source {len(pieces)}")
        self.lines = {True: text * given.copies, False: pieces * given.copies}
        self.systems = [one for one in all_systems(given.folder) if one.name in given.systems]
        self.running = {one.name: Running(one, given.cores, **ALLOCATOR) for one in self.systems}
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
            self.close()
            for system in self.systems:
                self.once(system, "memory", lambda one=system: self._memory(one, self.given.cores))
                if system.pooled and self.given.cores > 1:
                    self.once(system, "memory of one", lambda one=system: self._memory(one, 1))
        finally:
            self.close()

    def close(self) -> None:
        """End the processes of all systems."""
        for process in self.running.values():
            process.close()

    def best(self, system: System, beam: int) -> tuple[int, float]:
        """Return the best batch size, and the sentences per second with it."""
        return decode_report.best_batch(self.rows, system.name, beam) or (1, 1.0)

    def _try_batch(self, system: System, beam: int, batch: int) -> None:
        count = min(512, max(256, 2 * batch)) if batch > 1 else 32
        count = min(4 * count if system.pooled else count, self.given.most)
        self.once(
            system,
            "trial",
            lambda: self._speed(system, beam, batch, count),
            beam=beam,
            batch=batch,
        )

    def _speed(self, system: System, beam: int, batch: int, count: int) -> float:
        lines = self.lines[system.is_ours][:count]
        answer = self.running[system.name].ask(do="speed", lines=lines, beam=beam, batch=batch)
        return float(answer["tokens"] / answer["seconds"] / 16)

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
                    lambda one=system, b=batch, n=count, beam=beam: self._speed(one, beam, b, n),
                    **key,
                )
            for system in self.systems:
                self.once(
                    system,
                    "latency",
                    lambda one=system, beam=beam: self._latency(one, beam, number),
                    beam=beam,
                    round=number,
                )
        for system in self.systems:
            self.once(system, "start", lambda one=system: self._start(one), round=number)
            if system.name == "int8":
                self.once(
                    system,
                    "peak",
                    lambda one=system: self.running[one.name].ask(do="int8_peak")["value"],
                    round=number,
                )

    def _latency(self, system: System, beam: int, number: int) -> list[float]:
        every = self.lines[system.is_ours]
        step = max(1, len(every) // self.given.copies // self.given.latency_lines)
        lines = every[number % step :: step][: self.given.latency_lines]
        process = self.running[system.name]
        process.ask(do="latency", lines=lines[:2], beam=beam)
        return list(process.ask(do="latency", lines=lines, beam=beam)["milliseconds"])

    def _start(self, system: System) -> float:
        """Return the seconds from the start of a process to the translation of one line."""
        line = self.lines[system.is_ours][0]
        start = time.perf_counter()
        if not system.is_ours:
            process = Running(system, self.given.cores)
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

    def _memory(self, system: System, cores: int) -> float:
        """Return the peak memory in MiB of a fresh process that translates with beam 5."""
        batch, _ = self.best(system, 5)
        process = Running(system, cores)
        with Sampling(process.start().pid) as sampling:
            lines = self.lines[system.is_ours][: 2048 if system.pooled else 512]
            process.ask(do="speed", lines=lines[: self.given.most], beam=5, batch=batch)
        process.close()
        return sampling.peak

    def _facts(self, system: System) -> None:
        def size() -> float:
            files = [system.model] if system.model.is_file() else system.model.rglob("*")
            # Eole keeps the state of the optimizer in the folder, and links to the files.
            kept = (f for f in files if f.name != "optimizer.pt" and f.is_file())
            return sum(path.stat().st_size for path in kept if not path.is_symlink()) / 2**20

        self.once(system, "folder", size)
        lines = self.lines[True][:1000]
        for beam in BEAMS if system.name in ("int8", "shortlist") else ():
            ask = self.running[system.name].ask
            self.once(
                system,
                "products",
                lambda b=beam, ask=ask: ask(do="products", lines=lines, beam=b)["value"],
                beam=beam,
            )
        if system.is_ours:
            self.once(system, "imports torch", lambda: imports_torch(system))


def imports_torch(system: System) -> bool:
    """Return whether `seq2seq translate` imports PyTorch."""
    command = [sys.executable, "-X", "importtime", "-m", "seq2seq", "translate", str(system.model)]
    said = subprocess.run(command, input="A dog.\n", capture_output=True, text=True, check=True)
    return any(line.split("|")[-1].strip() == "torch" for line in said.stderr.splitlines())


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


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file, which may be compressed with gzip."""
    data = path.read_bytes()
    data = gzip.decompress(data) if path.suffix == ".gz" else data
    return data.decode().split("\n")[:-1]


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
