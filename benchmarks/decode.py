"""Measure how fast models and exports translate, beside each other.

    python benchmarks/decode.py SOURCE MODEL [MODEL...] [--reference FILE] [--rounds 3]

A MODEL is a model folder, an export, or a name of either with commas for an ensemble. Each round
runs every MODEL once, in a process of its own with one thread, so that a busy moment meets all of
them; the table has the medians. Speeds are with 16 output tokens for every line, by force. Start-up
is the time of `seq2seq translate` for one line. With a reference, BLEU and the number of lines that
differ from the first MODEL are measured without force, beam 5.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TOKENS = 16
BATCHES = (1, 16, 64, 256)


def measure(model: str, lines: list[str], batches: list[int]) -> dict[str, float]:
    """Return the sentences per second, the latencies in milliseconds and the peak memory in MiB."""
    from seq2seq.cli.machine import set_up_machine
    from seq2seq.decoding.options import search_options
    from seq2seq.decoding.translator import Translator

    set_up_machine(model, 1)
    row: dict[str, float] = {}
    loaded = Translator.load(*model.split(","))
    for beam in (1, 5):
        search = search_options(beam=beam, min_length=TOKENS, max_length=TOKENS)
        for size in batches:
            loaded.batch_size = size
            some = lines if size > 1 else lines[:50]
            list(loaded.translate_windows([some[:size]], search))  # tables and memory are there
            start = time.perf_counter()
            list(loaded.translate_windows([some], search))
            row[f"beam {beam}, batch {size}"] = len(some) / (time.perf_counter() - start)
        times = []
        for line in lines[:50]:
            start = time.perf_counter()
            list(loaded.translate_windows([[line]], search))
            times.append(1000 * (time.perf_counter() - start))
        row[f"beam {beam}, latency"] = float(np.median(times))
        row[f"beam {beam}, latency 99 %"] = float(np.percentile(times, 99))
    row["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    command = [sys.executable, "-m", "seq2seq", "translate", model]
    start = time.perf_counter()
    subprocess.run(command, input=lines[0].encode(), stdout=subprocess.DEVNULL, check=True)
    row["start-up"] = time.perf_counter() - start
    return row


def quality(models: list[str], lines: list[str], references: list[str]) -> dict[str, Any]:
    """Return BLEU and the number of changed lines of each model."""
    import sacrebleu

    from seq2seq.decoding.translator import Translator

    outputs = [Translator.load(*model.split(",")).translate(lines) for model in models]
    return {
        model: {
            "BLEU": sacrebleu.corpus_bleu(found, [references]).score,
            "changed": sum(a != b for a, b in zip(found, outputs[0], strict=True)),
        }
        for model, found in zip(models, outputs, strict=True)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    lines = given.source.read_text(encoding="utf-8").split("\n")[:-1][: given.lines]
    if given.one:
        print(json.dumps(measure(given.models[0], lines, given.batches)))
        return
    rows: dict[str, list[dict[str, float]]] = {model: [] for model in given.models}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for _ in range(given.rounds):
        for model in given.models:
            command = [sys.executable, __file__, str(given.source), model, "--one"]
            command += ["--lines", str(given.lines), "--batches", *map(str, given.batches)]
            said = subprocess.run(command, capture_output=True, check=True, env=environment)
            rows[model].append(json.loads(said.stdout))
    print("| figure | " + " | ".join(Path(model).name for model in given.models) + " |")
    print("|---" * (1 + len(given.models)) + "|")
    for name in rows[given.models[0]][0]:
        medians = [statistics.median(row[name] for row in rows[model]) for model in given.models]
        print(f"| {name} | " + " | ".join(f"{value:.4g}" for value in medians) + " |")
    if given.reference:
        references = given.reference.read_text(encoding="utf-8").split("\n")[: len(lines)]
        for model, figures in quality(given.models, lines, references).items():
            print(f"{model}: BLEU {figures['BLEU']:.2f}, {figures['changed']} lines changed")


if __name__ == "__main__":
    main()
