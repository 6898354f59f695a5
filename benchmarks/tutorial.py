"""Measure the training speed of a translator written like those in typical tutorials.

    python benchmarks/tutorial.py CONFIG.toml

The result can be compared with the speed that benchmarks/train.py prints for the same
configuration. The configuration must have a fixed c, computed from the last encoder states. The
tutorial model has the same layers, sizes, batches, subwords, dropout and loss. It reads the source
with nn.GRU. For each target token, it runs one step of nn.GRU and the output layers, with c
concatenated to their input. Its optimiser is Adam. It runs in fp32. Speed is in target tokens per
second, without padding.
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
from train import Footprint, machine, prepared_apart, sample, wait

from seq2seq import runtime
from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.text.batching import Batch


class Tutorial(nn.Module):
    """An encoder, and a decoder that runs one time step after the other."""

    def __init__(self, config: Config, source: int, target: int, pad: int) -> None:
        super().__init__()
        encoder, decoder, C = config.encoder, config.decoder, config.context.size
        E, H = decoder.embedding, decoder.hidden
        self.source = nn.Embedding(source, encoder.embedding, padding_idx=pad)
        self.target = nn.Embedding(target, E, padding_idx=pad)
        self.encoder = nn.GRU(
            encoder.embedding, encoder.hidden, bidirectional=True, batch_first=True
        )
        self.summary = nn.Linear(2 * encoder.hidden, C)
        self.bridge = nn.Linear(C, H)
        self.decoder = nn.GRU(E + C, H, batch_first=True)
        self.readout = nn.Linear(H + E + C, E)
        self.output = nn.Linear(E, target)
        self.output.weight = self.target.weight
        self.dropout = nn.Dropout(decoder.dropout)

    def forward(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """Return the logits [B, T, V] of each target token.

        source: Token ids [B, S]. lengths: Source lengths in tokens [B]. target: The input of the
        decoder, token ids [B, T].
        """
        embedded = self.dropout(self.source(source))
        packed = nn.utils.rnn.pack_padded_sequence(
            embedded, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.encoder(packed)
        c = torch.tanh(self.summary(torch.cat([last[0], last[1]], dim=1)))  # [B, C]
        hidden = torch.tanh(self.bridge(c)).unsqueeze(0)
        outputs = []
        for t in range(target.shape[1]):
            embedded = self.dropout(self.target(target[:, t]))  # [B, E]
            output, hidden = self.decoder(torch.cat([embedded, c], dim=1).unsqueeze(1), hidden)
            joined = torch.cat([self.dropout(output.squeeze(1)), embedded, c], dim=1)
            outputs.append(self.output(self.dropout(torch.tanh(self.readout(joined)))))
        return torch.stack(outputs, dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="Configuration with a fixed context.")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="Override one value of the configuration.",
    )
    parser.add_argument(
        "--updates", type=int, default=30, help="Number of updates per round (default: 30)."
    )
    parser.add_argument(
        "--rounds", type=int, default=3, help="Number of timed rounds (default: 3)."
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="Number of CPU threads (default: 0, all cores)."
    )
    arguments = parser.parse_args()
    footprint = Footprint()
    runtime.keep_freed_memory()
    threads = runtime.set_threads(arguments.threads)
    config = toml.load_config(arguments.config, arguments.settings)
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepared_apart(config, Path(folder) / "data", threads)
        codec = prepared.codec
        device = runtime.select_device(config.training.device)
        network = Tutorial(config, len(codec.source), len(codec.target), codec.target.pad).to(
            device
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
        batches = sample(config, prepared, arguments.updates)
        speeds = [
            round_of(network, optimizer, batches, config, codec.target.pad, device)
            for _ in range(arguments.rounds + 1)
        ][1:]
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    print(
        f"tutorial loop, {millions:.2f} M parameters, fp32, {machine(device, threads)}: "
        f"{statistics.median(speeds):,.0f} tokens/s ({min(speeds):,.0f} to {max(speeds):,.0f}), "
        f"peak memory without imports {footprint.mib(device):,.0f} MiB"
    )


def round_of(
    network: Tutorial,
    optimizer: torch.optim.Optimizer,
    batches: list[Batch],
    config: Config,
    pad: int,
    device: torch.device,
) -> float:
    """Train on the batches once and return target tokens per second."""
    network.train()
    start = time.perf_counter()
    for of_cpu in batches:
        batch = of_cpu.to(device)
        optimizer.zero_grad()
        logits = network(batch.source, batch.lengths, batch.inputs)
        loss = F.cross_entropy(
            logits.flatten(0, 1),
            batch.outputs.flatten(),
            ignore_index=pad,
            label_smoothing=config.training.label_smoothing,
        )
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    wait(device)
    return sum(len(batch.target_index) for batch in batches) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
