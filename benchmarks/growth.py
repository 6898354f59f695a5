"""Measure training speed and memory as corpus, vocabulary, sentence length or threads grow.

    python benchmarks/growth.py CONFIG.toml [--of corpus vocabulary length threads]
    python benchmarks/growth.py CONFIG.toml --draw PICTURE

corpus: The corpus grows from 1 to 350 times its size. All pairs are distinct: pair i of copy k
    joins the first half of pair i with the second half of another pair, on both sides. The program
    also measures how many pairs per second it prepares (reads, splits into subwords, encodes), and
    the peak memory of this. The filter of duplicates is off; seq2seq/text/corpus.py says how much
    memory that filter needs (a digest of 16 bytes per pair).
vocabulary: The vocabulary grows from 4,000 to 64,000 tokens. The token ids are random.
length: The sentences of both sides grow from 10 to 200 subwords. Each batch is as large as the
    budget of training.batch_tokens allows.
threads: The number of threads grows from 1 to the number of cores.

Each measurement gives the target tokens per second in training and the peak memory. Memory is
RssAnon, which excludes mapped files. Each measurement runs in its own process. The results are
written to benchmarks/growth.jsonl; --draw plots them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from train import round_of

from seq2seq import runtime
from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.evaluation.figures import COLOURS, new_figure, save_figure, style_axes
from seq2seq.models.folder import Model
from seq2seq.models.translation import TranslationNetwork
from seq2seq.text import batching, corpus, preparation
from seq2seq.text.batching import Batch
from seq2seq.text.preparation import PreparedData
from seq2seq.training.train_step import TrainStep

_UPDATES = 60
_FOLDER = Path("local/growth")
_ROWS = Path(__file__).with_suffix(".jsonl")
POINTS = {
    "corpus": [1, 10, 100, 350],  # factor
    "vocabulary": [4_000, 8_000, 16_000, 32_000, 64_000],
    "length": [10, 25, 50, 100, 200],
    "threads": [2**i for i in range(10) if 2**i <= len(os.sched_getaffinity(0))],
}
UNITS = {"corpus": "pairs", "vocabulary": "pieces", "length": "subwords", "threads": "threads"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="Configuration of the smallest experiment.")
    parser.add_argument(
        "--of",
        nargs="+",
        choices=POINTS,
        default=list(POINTS),
        help="Properties to vary (default: all).",
    )
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="PICTURE",
        help="Plot the existing results to this file (.png, .svg or .pdf) and measure nothing.",
    )
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in _ROWS.open()] if _ROWS.exists() else []
    if arguments.draw:
        draw(rows, arguments.draw)
        return
    rows = [row for row in rows if row["of"] not in arguments.of]
    print("| what grows | to | prepared, pairs/s | MiB | training, tokens/s | MiB |")
    print("|---|---:|---:|---:|---:|---:|")
    for what in arguments.of:
        for point in POINTS[what]:
            row = corpus_of(arguments.config, point) if what == "corpus" else None
            row = row or apart(trained, arguments.config, what, point)
            rows.append({"of": what, **row})
            _ROWS.write_text("".join(json.dumps(row) + "\n" for row in rows))
            ready = [
                f"{row[key]:,.0f}" if key in row else ""
                for key in ("pairs_per_second", "preparing_mib")
            ]
            print(
                f"| {what} | {row['at']:,} {UNITS[what]} | {ready[0]} | {ready[1]} "
                f"| {row['tokens_per_second']:,.0f} | {row['training_mib']:,.0f} |",
                flush=True,
            )


# The measurements. Each function returns a row or a part of one.


def corpus_of(path: Path, times: int) -> dict[str, float]:
    """Measure preparation and training with a corpus that is `times` as large as the given one."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    config = toml.load_config(path)
    train = recombined(config, times, _FOLDER.resolve() / "train")
    data = config.data.model_copy(update={"train": train, "drop_duplicates": False})
    config = config.model_copy(update={"data": data})
    row = apart(prepared_anew, config, _FOLDER / "data")
    row |= apart(trained_on, config, _FOLDER / "data")
    shutil.rmtree(_FOLDER)
    return row


def prepared_anew(config: Config, folder: Path) -> dict[str, float]:
    """Prepare the corpus in an empty folder; return pairs per second and peak memory in MiB."""
    watch = Watch()
    start = time.perf_counter()
    prepared = preparation.prepare_data(config, folder, runtime.set_threads(0))
    seconds, pairs = time.perf_counter() - start, len(prepared.train)
    return {"at": pairs, "pairs_per_second": pairs / seconds, "preparing_mib": watch.highest()}


def trained_on(config: Config, folder: Path) -> dict[str, float]:
    """Train on prepared data; return target tokens per second and peak memory in MiB."""
    watch = Watch()
    threads = runtime.set_threads(0)
    runtime.keep_freed_memory()
    prepared = preparation.prepare_data(config, folder, threads)
    return updated(config, prepared, planned(config, prepared), watch)


def trained(path: Path, what: str, point: int) -> dict[str, float]:
    """Measure training on the given corpus with one property (`what`) set to the value `point`."""
    config = toml.load_config(path)
    threads = runtime.set_threads(point if what == "threads" else 0)
    prepared = preparation.prepare_data(config, Path("local/growth-given"), threads)
    watch = Watch()
    runtime.keep_freed_memory()
    V = len(prepared.codec.target)
    batches = planned(config, prepared)
    if what == "vocabulary":
        V, random = point, np.random.default_rng(1)
        for batch in batches:
            for ids in (batch.source, batch.inputs, batch.outputs):
                anew = torch.from_numpy(random.integers(4, V, ids.shape))
                ids.copy_(torch.where(ids > prepared.codec.target.eos, anew, ids))
    if what == "length":
        batches = cut(config, prepared, point)
    return {"at": point, **updated(config, prepared, batches, watch, V)}


def planned(config: Config, prepared: PreparedData) -> list[Batch]:
    """Return the first batches of training, twice as many as are timed. The first half warms up."""
    budget = config.training.batch_tokens
    plan = batching.plan_batches(prepared.train.lengths, budget=budget, seed=1, epoch=0)
    return [
        batching.collate_examples(prepared.train, rows, prepared.codec)
        for rows in plan[: 2 * _UPDATES]
    ]


def cut(config: Config, prepared: PreparedData, length: int) -> list[Batch]:
    """Return batches of sentences that all have `length` subwords, including EOS.

    The concatenated corpus is cut into such sentences.
    """
    target = prepared.codec.target
    sides = [
        np.concatenate([values for _, values in prepared.train.columns(side)])
        for side in ("source", "target")
    ]
    rows = max(1, config.training.batch_tokens // length)
    size, batches = rows * (length - 1), []
    for start in range(0, 2 * _UPDATES * size, size):
        source, outputs = (
            batching.pad_sequences(
                list(np.take(ids, range(start, start + size), mode="wrap").reshape(rows, -1)),
                target.pad,
                target.eos,
            )
            for ids in sides
        )
        inputs = outputs[0].roll(1, dims=1)
        inputs[:, 0] = target.bos
        real = torch.arange(outputs[0].numel())
        batches.append(Batch(np.arange(rows), *source, inputs, outputs[0], real))
    return batches


def updated(
    config: Config, prepared: PreparedData, batches: list[Batch], watch: Watch, V: int = 0
) -> dict[str, float]:
    """Train a new model and return target tokens per second and peak memory in MiB.

    V: The size of the vocabulary; 0 means that of the tokenizer. The first half of the batches is a
    warm-up.
    """
    torch.manual_seed(1)
    target = prepared.codec.target
    network = TranslationNetwork(config, V or len(target), V or len(target), target.pad)
    device = runtime.select_device(config.training.device)
    dtype = runtime.select_dtype(config.training.precision, device)
    one = TrainStep(Model(config, prepared.codec, network), config.training, device, dtype)
    round_of(one, batches[:_UPDATES])
    speed = round_of(one, batches[_UPDATES:])
    return {"tokens_per_second": speed, "training_mib": watch.highest()}


def recombined(config: Config, times: int, prefix: Path) -> str:
    """Write a corpus that is `times` as large, and return its prefix, the value of data.train."""
    pairs = [
        (example.source.split(), example.target.split())
        for example in corpus.read_examples(config.data, "train")
    ]
    with ExitStack() as stack:
        sides = [
            stack.enter_context(Path(f"{prefix}.{side}").open("w", encoding="utf-8"))
            for side in (config.data.source, config.data.target)
        ]
        for k in range(times):
            for i, pair in enumerate(pairs):
                other = pairs[(i + k * 97) % len(pairs)] if k else pair
                for file, one, two in zip(sides, pair, other, strict=True):
                    file.write(" ".join(one[: len(one) // 2] + two[len(two) // 2 :]) + "\n")
    return str(prefix)


# Tools for measuring.


def apart(function, *arguments) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """Call the function in a new process and return its result."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=sent, args=(there, function, *arguments))
    process.start()
    there.close()
    found: dict[str, float] = here.recv()
    process.join()
    return found


def sent(to: Connection, function, *arguments) -> None:  # type: ignore[no-untyped-def]
    """Call the function and send its result to the parent process."""
    to.send(function(*arguments))


class Watch:
    """A thread that reads RssAnon of this process ten times per second and keeps the maximum."""

    def __init__(self) -> None:
        self.most, self.ended = 0, False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self) -> None:
        while not self.ended:
            status = Path("/proc/self/status").read_text()
            self.most = max(self.most, int(status.split("RssAnon:")[1].split()[0]))
            time.sleep(0.1)

    def highest(self) -> float:
        """Stop the thread and return the maximum of RssAnon, in MiB."""
        self.ended = True
        self.thread.join()
        return self.most / 1024


def draw(rows: list[dict[str, float]], picture: Path) -> None:
    """Plot the rows: one column of panels for each property that grows.

    The upper panel shows microseconds per target token, the lower panel memory in MiB.
    """
    figure = new_figure(width=12.0, height=5.2)
    panels = figure.subplots(2, len(POINTS), squeeze=False, sharex="col")
    for what, column in zip(POINTS, panels.T, strict=True):
        points = sorted((row for row in rows if row["of"] == what), key=lambda row: row["at"])
        at = [row["at"] for row in points]
        for axes, colour, values in (
            (column[0], COLOURS[0], [1e6 / row["tokens_per_second"] for row in points]),
            (column[1], COLOURS[1], [row["training_mib"] for row in points]),
        ):
            style_axes(axes, "")
            axes.plot(at, values, color=colour, marker="o", markersize=4)
            axes.set_ylim(0, 1.25 * max(values, default=1))
            axes.set_xscale("log")
            names = [f"{value:,.0f}" for value in at]
            axes.set_xticks(at, names, rotation=30, ha="right", rotation_mode="anchor")
            axes.minorticks_off()
        column[1].set_xlabel(f"{what} ({UNITS[what]})" if what != "threads" else what)
    panels[0][0].set_ylabel("microseconds per token")
    panels[1][0].set_ylabel("memory, MiB")
    save_figure(figure, picture)


if __name__ == "__main__":
    main()
