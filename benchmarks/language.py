"""Compare the training speed of language models with that of a typical textbook implementation.

    python benchmarks/language.py recipes/time-machine/gru.toml

The textbook model is nn.RNN, nn.GRU or nn.LSTM over one-hot input with an output layer. Its loss
is cross-entropy, the gradient norm is clipped at 1, and the optimiser is SGD. The state is carried
from one window of text to the next. It runs in fp32.

All models have the same cell, sizes, text and windows. Their rounds alternate. The program prints
the median number of tokens per second over the rounds. No other program should run at the same
time.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from train import learner

from seq2seq import runtime
from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.text import preparation
from seq2seq.text.batching import Batch
from seq2seq.training.distributed import Ranks
from seq2seq.training.epoch_batches import BatchPlanner
from seq2seq.training.train_step import TrainStep

FP32, BF16 = "training.precision=fp32", "training.precision=bf16"
CELLS = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Textbook(nn.Module):
    """A language model as in the book "Dive into Deep Learning", built from layers of PyTorch."""

    def __init__(self, config: Config, size: int) -> None:
        super().__init__()
        decoder = config.decoder
        self.size = size
        self.layers = CELLS[decoder.cell](size, decoder.hidden, decoder.layers)
        self.output = nn.Linear(decoder.hidden, size)
        self.optimizer = torch.optim.SGD(self.parameters(), lr=config.training.learning_rate)
        self.state: Tensor | tuple[Tensor, ...] | None = None

    def update(self, batch: Batch) -> None:
        """Update the weights once. The ids in the batch have the shape [B, T]."""
        state = self.state if batch.continues else None
        if state is not None:
            state = (
                state.detach() if isinstance(state, Tensor) else tuple(s.detach() for s in state)
            )
        one_hot = F.one_hot(batch.inputs.t(), self.size).float()  # [T, B, V]
        hidden, self.state = self.layers(one_hot, state)
        logits = self.output(hidden.reshape(-1, hidden.shape[-1]))
        loss = F.cross_entropy(logits, batch.outputs.t().reshape(-1))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        self.optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="Configuration of a language model.")
    parser.add_argument(
        "--rounds", type=int, default=5, help="Number of timed rounds (default: 5)."
    )
    parser.add_argument(
        "--updates", type=int, default=80, help="Number of updates per round (default: 80)."
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="Number of CPU threads (default: 0, all cores)."
    )
    arguments = parser.parse_args()
    threads = runtime.set_threads(arguments.threads)
    print(f"torch {torch.__version__}, {threads} threads, rounds of {arguments.updates} updates\n")
    print("| cell | layers | textbook, tokens/s | seq2seq, fp32 | ratio | seq2seq, bf16 | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for cell, layers in (("rnn", 1), ("gru", 1), ("lstm", 1), ("gru", 2), ("lstm", 2)):
        settings = [f"decoder.cell={cell}", f"decoder.layers={layers}"]
        config = toml.load_config(arguments.config, settings)
        with tempfile.TemporaryDirectory() as folder:
            prepared = preparation.prepare_data(config, Path(folder) / "data")
            feed = BatchPlanner(config, prepared, Ranks())(0)
            whole = [feed.collate(rows) for rows in feed.plan]
            batches = (whole * (1 + arguments.updates // len(whole)))[: arguments.updates]
            contestants: list[Textbook | TrainStep] = [
                Textbook(config, len(prepared.codec.target)),
                learner(toml.load_config(arguments.config, [*settings, FP32]), prepared),
                learner(toml.load_config(arguments.config, [*settings, BF16]), prepared),
            ]
            runtime.keep_freed_memory()
            speeds: list[list[float]] = [[], [], []]
            for number in range(arguments.rounds + 1):
                for one, found in zip(contestants, speeds, strict=True):
                    speed = timed(one, batches)
                    if number:  # the first round is a warm-up
                        found.append(speed)
        theirs, fp32, bf16 = map(statistics.median, speeds)
        print(
            f"| {cell} | {layers} | {theirs:,.0f} | {fp32:,.0f} | {fp32 / theirs:.2f} "
            f"| {bf16:,.0f} | {bf16 / theirs:.2f} |",
            flush=True,
        )


def timed(one: Textbook | TrainStep, batches: list[Batch]) -> float:
    """Train on the batches once and return tokens per second."""
    start = time.perf_counter()
    for number, batch in enumerate(batches, start=1):
        if isinstance(one, Textbook):
            one.update(batch)
        else:
            one.update([batch], len(batch.target_index), one.settings.learning_rate, number)
    return sum(len(batch.target_index) for batch in batches) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
