"""Measure whether memory grows while seq2seq works for many minutes, and plot the memory.

    python benchmarks/soak.py [--minutes 20] [--picture soak.svg] SOURCE [MODEL...] [--serve MODEL]

Each MODEL is a model folder or an export. For each MODEL, the program writes the lines of SOURCE to
`seq2seq translate MODEL` through a pipe, again and again, and reads the translations. For each
MODEL of --serve, it sends the lines to `seq2seq serve` instead. All measurements run at the same
time. Every second, the program measures the memory of each process and of its workers that no file
backs. It adds the measurements to a JSONL file beside the plot, and plots all measurements of that
file. It fails if the mean memory of the last tenth of the time exceeds the mean memory of the tenth
after the start by more than 2 %. The start ends after a minute and 20,000 lines, but at the latest
in the middle of the measurement.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import IO

from process_memory import tree_memory

LIMIT = 1.02
START_LINES = 20_000
Samples = list[tuple[float, float, int]]  # seconds, MiB, lines


def watch(pid: int, minutes: float, lines: Callable[[], int]) -> Samples:
    """Measure a process every second. Return its memory and the number of lines so far."""
    start, samples = time.monotonic(), []
    while (passed := time.monotonic() - start) < 60 * minutes:
        samples.append((passed, tree_memory(pid, "Pss_Anon"), lines()))
        time.sleep(1)
    return samples


def soak_translate(model: str, texts: list[bytes], minutes: float) -> Samples:
    """Translate through an endless pipe. Return the measurements of the process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq", "translate", model, "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    count = [0]

    def feed(pipe: IO[bytes]) -> None:
        try:
            for text in cycle(texts):
                pipe.write(text + b"\n")
        except OSError:  # the end of the measurement
            return

    def read(pipe: IO[bytes]) -> None:
        for _ in pipe:
            count[0] += 1

    threading.Thread(target=feed, args=(process.stdin,), daemon=True).start()
    threading.Thread(target=read, args=(process.stdout,), daemon=True).start()
    try:
        return watch(process.pid, minutes, lambda: count[0])
    finally:
        process.kill()
        process.wait()


def soak_server(model: str, texts: list[bytes], minutes: float) -> Samples:
    """Send requests of 1 to 16 texts from eight threads. Return measurements of the server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "seq2seq", "serve", f"en-fr={model}", "--port", "0", "--jobs", "1"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    said = process.stderr.readline()
    while "listening on" not in said:
        if not said:
            raise SystemExit(f"error: seq2seq serve did not start with the model {model}")
        said = process.stderr.readline()
    threading.Thread(target=process.stderr.read, daemon=True).start()
    counts, url = [0] * 8, f"{said.split()[-1]}/translate"

    def send(number: int) -> None:
        for start in cycle(range(number, len(texts), 17)):
            part = [text.decode() for text in texts[start : start + 1 + start % 16]]
            body = json.dumps({"q": part, "source": "en", "target": "fr"}).encode()
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            try:
                urllib.request.urlopen(request).read()
            except urllib.error.HTTPError as error:
                print(error, error.read(), file=sys.stderr)
                return
            except OSError:  # the end of the measurement
                return
            counts[number] += len(part)

    for number in range(8):
        threading.Thread(target=send, args=(number,), daemon=True).start()
    try:
        return watch(process.pid, minutes, lambda: sum(counts))
    finally:
        process.kill()
        process.wait()


def growth(samples: Samples) -> tuple[float, float]:
    """Return the mean memory of the tenth of the time after the start, and of the last tenth.

    A tenth has several windows of lines, whose batches differ in size.
    """
    ready = [passed for passed, _, lines in samples if passed >= 60 and lines >= START_LINES]
    begin, length = min([*ready, samples[-1][0] / 2]), samples[-1][0] / 10
    first = [memory for passed, memory, _ in samples if begin <= passed <= begin + length]
    last = [memory for passed, memory, _ in samples if passed >= 9 * length]
    return mean(first), mean(last)


def draw(found: dict[str, Samples], picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for name, samples in found.items():
        axes.plot([s / 60 for s, _, _ in samples], [m for _, m, _ in samples], label=name)
    axes.set(xlabel="minutes", ylabel="memory without files, MiB", ylim=(0, None))
    axes.legend()
    figure.savefig(picture)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="Text file to translate again and again.")
    parser.add_argument("models", nargs="*", help="Model folders or exports to translate with.")
    parser.add_argument(
        "--serve", action="append", default=[], help="Model folder or export to serve (repeatable)."
    )
    parser.add_argument("--minutes", type=float, default=20, help="Minutes to measure (20).")
    parser.add_argument(
        "--picture",
        type=Path,
        default=Path("soak.svg"),
        help="Write the plot to this file (soak.svg).",
    )
    given = parser.parse_args()
    texts = given.source.read_bytes().split(b"\n")[:-1]
    soaks = [(f"translate {model}", soak_translate, model) for model in given.models]
    soaks += [(f"serve {model}", soak_server, model) for model in given.serve]
    if not soaks:
        parser.error("give a MODEL or --serve MODEL")
    with ThreadPoolExecutor(len(soaks)) as pool:
        futures = [pool.submit(soak, model, texts, given.minutes) for _, soak, model in soaks]
        found = {name: each.result() for (name, _, _), each in zip(soaks, futures, strict=True)}
    log = given.picture.with_suffix(".jsonl")
    with log.open("a", encoding="utf-8") as file:
        for name, samples in found.items():
            file.write(json.dumps({"name": name, "samples": samples}) + "\n")
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    draw({row["name"]: row["samples"] for row in rows}, given.picture)
    grown = False
    for name, samples in found.items():
        first, last = growth(samples)
        grown |= last > LIMIT * first
        lines = f"{samples[-1][2]:,} lines"
        print(f"{name}: {lines}, {first:.1f} and {last:.1f} MiB, {100 * (last / first - 1):+.1f} %")
    sys.exit(grown)


if __name__ == "__main__":
    main()
