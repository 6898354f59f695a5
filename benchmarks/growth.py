"""Does time or memory grow with the corpus? Corpora of distinct pairs, 1 to 350 times a given one.

    python benchmarks/growth.py CONFIG.toml [--times 1 10 100 350]

Pair i of copy k is the first half of pair i and the second half of another pair, on both sides. Of
each corpus: pairs a second in preparing it (reading, subwords, encoding), RssAnon (memory that is
no mapped file) at the highest while it is prepared, and while it is trained on; target tokens a
second. Preparing and training are processes of their own. The filter of duplicates is off: what it
needs (16 bytes of digest a pair, in a set) is said in seq2seq/text/corpus.py.
"""

from __future__ import annotations

import argparse
import multiprocessing
import shutil
import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from train import learner, round_of

from seq2seq import config as configuration
from seq2seq import runtime
from seq2seq.config import Config
from seq2seq.text import batching, corpus, preparation

_UPDATES = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 10, 100, 350])
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--folder", type=Path, default=Path("local/growth"))
    arguments = parser.parse_args()
    print("| pairs | prepared, pairs/s | RssAnon, MiB | training, tokens/s | RssAnon, MiB |")
    print("|---:|---:|---:|---:|---:|")
    for times in arguments.times:
        shutil.rmtree(arguments.folder, ignore_errors=True)
        arguments.folder.mkdir(parents=True)
        config = configuration.load(arguments.config)
        train = recombined(config, times, arguments.folder.resolve() / "train")
        config = config.model_copy(
            update={
                "data": config.data.model_copy(update={"train": train, "drop_duplicates": False})
            }
        )
        work = (config, arguments.folder / "data", arguments.threads)
        pairs, seconds, most = apart(prepare, *work)
        tokens_per_second, while_training = apart(train_on, *work)
        print(
            f"| {pairs:,} | {pairs / seconds:,.0f} | {most:,.0f} | {tokens_per_second:,.0f} "
            f"| {while_training:,.0f} |",
            flush=True,
        )
    shutil.rmtree(arguments.folder)


def recombined(config: Config, times: int, prefix: Path) -> str:
    """Write the files; gives what data.train is set to."""
    pairs = [
        tuple(side.split() for side in pair) for pair in corpus.read_pairs(config.data, "train")
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


def apart(function, *arguments):  # type: ignore[no-untyped-def]
    """What the function gives in a process of its own."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=sent, args=(there, function, *arguments))
    process.start()
    there.close()
    found = here.recv()
    process.join()
    return found


def sent(to: Connection, function, *arguments) -> None:  # type: ignore[no-untyped-def]
    to.send(function(*arguments))


def prepare(config: Config, folder: Path, threads: int) -> tuple[int, float, float]:
    """Pairs, seconds, MiB."""
    watch = Watch()
    start = time.perf_counter()
    prepared = preparation.prepare(config, folder, runtime.threads(threads))
    seconds = time.perf_counter() - start
    return len(prepared.train), seconds, watch.highest()


def train_on(config: Config, folder: Path, threads: int) -> tuple[float, float]:
    """Target tokens a second, MiB."""
    watch = Watch()
    runtime.keep_memory()
    prepared = preparation.prepare(config, folder, runtime.threads(threads))
    plan = batching.plan(
        prepared.train.lengths, budget=config.training.batch_tokens, seed=1, epoch=0
    )
    one = learner(config, prepared)
    speed = 0.0
    for part in (plan[:_UPDATES], plan[_UPDATES : 2 * _UPDATES]):  # the first one warms up
        batches = [batching.collate(prepared.train, rows, prepared.tokenizers) for rows in part]
        speed = round_of(one, batches)
    return speed, watch.highest()


class Watch:
    """Looks at RssAnon ten times a second."""

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
        """MiB."""
        self.ended = True
        self.thread.join()
        return self.most / 1024


if __name__ == "__main__":
    main()
