"""Training speed of variants of one configuration, interleaved on the same batches.

    python benchmarks/train.py CONFIG.toml -v NAME key=value ... -v NAME key=value ...

The data is prepared once, in a temporary folder; every variant makes the same updates with the
same batches in turn, round after round, after one round that is not counted. Tokens are target
tokens without padding. Ratios are against the first variant.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from seq2seq import config as configuration
from seq2seq import runtime
from seq2seq.config import Config
from seq2seq.models import folder as model_folder
from seq2seq.text import batching, preparation
from seq2seq.text.batching import Batch
from seq2seq.text.preparation import Prepared
from seq2seq.training.learner import Learner


def main() -> None:
    arguments = parsed()
    runtime.keep_memory()
    threads = runtime.threads(arguments.threads)
    configs = {
        name: configuration.load(arguments.config, settings)
        for name, *settings in arguments.variant
    }
    first = next(iter(configs.values()))
    with tempfile.TemporaryDirectory() as folder:
        prepared = preparation.prepare(first, Path(folder) / "data", threads)
        batches = sample(first, prepared, arguments.updates)
        learners = {name: learner(config, prepared) for name, config in configs.items()}
        speeds: dict[str, list[float]] = {name: [] for name in learners}
        for number in range(arguments.rounds + 1):
            for name, one in learners.items():
                speed = round_of(one, batches)
                if number:
                    speeds[name].append(speed)
    report(learners, speeds, arguments.updates, threads)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path)
    parser.add_argument(
        "-v", "--variant", nargs="+", action="append", required=True, metavar=("NAME", "key=value")
    )
    parser.add_argument("--updates", type=int, default=30, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    return parser.parse_args()


def sample(config: Config, prepared: Prepared, updates: int) -> list[Batch]:
    plan = batching.plan(
        prepared.train.lengths, budget=config.training.batch_tokens, seed=1, epoch=0
    )
    return [batching.collate(prepared.train, rows, prepared.tokenizers) for rows in plan[:updates]]


def learner(config: Config, prepared: Prepared) -> Learner:
    torch.manual_seed(config.seed)
    device = runtime.device(config.training.device)
    dtype = runtime.precision(config.training.precision, device)
    model = model_folder.build(config, prepared.tokenizers)
    return Learner(model, config.training, device, dtype)


def round_of(one: Learner, batches: list[Batch]) -> float:
    """Target tokens a second."""
    start = time.perf_counter()
    for number, batch in enumerate(batches, 1):
        made = one.update([batch], len(batch.real), 1e-4, number)
    made.require_finite()  # waits for a GPU
    return sum(len(batch.real) for batch in batches) / (time.perf_counter() - start)


def report(
    learners: dict[str, Learner], speeds: dict[str, list[float]], updates: int, threads: int
) -> None:
    base = statistics.median(next(iter(speeds.values())))
    print(f"torch {torch.__version__}, {threads} threads, rounds of {updates} updates")
    print("| variant | parameters (M) | precision | tokens/s, median | least | most | ratio |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for name, found in speeds.items():
        one = learners[name]
        millions = sum(p.numel() for p in one.network.parameters()) / 1e6
        precision = str(one.dtype).removeprefix("torch.")
        median = statistics.median(found)
        print(
            f"| {name} | {millions:.2f} | {precision} | {median:,.0f} | {min(found):,.0f} "
            f"| {max(found):,.0f} | {median / base:.2f} |"
        )


if __name__ == "__main__":
    main()
