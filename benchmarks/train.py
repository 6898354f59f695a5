"""Compare the training speed of several variants of one configuration.

    python benchmarks/train.py CONFIG.toml -v NAME key=value ... -v NAME key=value ...

The data is prepared once, in a temporary folder. All variants train on the same batches, and their
rounds alternate. The first round is a warm-up and does not count. Speed is in target tokens per
second, without padding. Ratios are relative to the first variant. If there is only one variant,
the program also prints its peak memory: that of the process or, on a GPU, that of the tensors.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import torch

from seq2seq import runtime
from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.models import folder as model_folder
from seq2seq.text import batching, preparation
from seq2seq.text.batching import Batch
from seq2seq.text.preparation import PreparedData
from seq2seq.training.train_step import TrainStep


def main() -> None:
    arguments = parsed()
    footprint = Footprint()
    runtime.keep_freed_memory()
    threads = runtime.set_threads(arguments.threads)
    configs = {
        name: toml.load_config(arguments.config, settings) for name, *settings in arguments.variant
    }
    first = next(iter(configs.values()))
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepared_apart(first, Path(folder) / "data", threads)
        batches = sample(first, prepared, arguments.updates)
        learners = {name: learner(config, prepared) for name, config in configs.items()}
        speeds: dict[str, list[float]] = {name: [] for name in learners}
        for number in range(arguments.rounds + 1):
            for name, one in learners.items():
                speed = round_of(one, batches)
                if number:
                    speeds[name].append(speed)
    report(learners, speeds, batches, configs, threads, footprint)


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("config", type=Path, help="Configuration that all variants share.")
    parser.add_argument(
        "-v",
        "--variant",
        nargs="+",
        action="append",
        required=True,
        metavar=("NAME", "key=value"),
        help="Name of a variant, and the settings in which it differs from the configuration.",
    )
    parser.add_argument(
        "--updates", type=int, default=30, help="Number of updates per round (default: 30)."
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="Number of timed rounds (default: 5)."
    )
    parser.add_argument(
        "--threads", type=int, default=0, help="Number of CPU threads (default: 0, all cores)."
    )
    return parser.parse_args()


def prepared_apart(config: Config, folder: Path, threads: int) -> PreparedData:
    """Prepare the data in another process, so that its memory does not count as memory of training.

    Return the prepared data, which this process then opens.
    """
    work = (config, folder, threads)
    process = multiprocessing.get_context("spawn").Process(
        target=preparation.prepare_data, args=work
    )
    process.start()
    process.join()
    return preparation.prepare_data(*work)


def sample(config: Config, prepared: PreparedData, updates: int) -> list[Batch]:
    """Return the batches of the first `updates` updates."""
    plan = batching.plan_batches(
        prepared.train.lengths, budget=config.training.batch_tokens, seed=1, epoch=0
    )
    return [
        batching.collate_examples(prepared.train, rows, prepared.codec) for rows in plan[:updates]
    ]


def learner(config: Config, prepared: PreparedData) -> TrainStep:
    """Build a new model and return the object that trains it."""
    torch.manual_seed(config.seed)
    device = runtime.select_device(config.training.device)
    dtype = runtime.select_dtype(config.training.precision, device)
    model = model_folder.build_model(config, prepared.codec)
    return TrainStep(model, config.training, device, dtype)


def round_of(one: TrainStep, batches: list[Batch]) -> float:
    """Train on the batches once and return target tokens per second."""
    start = time.perf_counter()
    for number, batch in enumerate(batches, 1):
        made = one.update([batch], len(batch.target_index), 1e-4, number)
    made.require_finite()  # also waits until the GPU has finished
    return sum(len(batch.target_index) for batch in batches) / (time.perf_counter() - start)


def operations(config: Config, batches: list[Batch], V: int) -> float:
    """Return the number of floating-point operations in matrix products when training on `batches`.

    Padding does not count. A product of [m, k] and [k, n] takes 2 m k n operations. Training takes
    twice as many in addition, for the gradients of both factors. These products are counted:

    Per source token: g H (I + H) for each direction and layer, where g is the number of gates (GRU
    3, LSTM 4, RNN 1) and I the size of the input; and the key and the value of attention.
    Per target token: g H (I + H) for each layer, the query, the readout and the output layer.
    Per pair of a source and a target token: the score and the weighted mean of attention.
    Per sentence: the products with c if the context is fixed.

    Embeddings, pooling, biases and element-wise operations are not counted.
    """
    encoder, context, decoder = config.encoder, config.context, config.decoder
    gates = {"rnn": 1, "lstm": 4, "gru": 3}
    D, C, A, H, E = (
        encoder.state_size,
        context.size,
        context.size,
        decoder.hidden,
        decoder.embedding,
    )
    fixed, directions = context.kind == "fixed", 2 if encoder.bidirectional else 1
    source = sum(
        directions * gates[encoder.cell] * encoder.hidden * (size + encoder.hidden)
        for size in [encoder.embedding] + [D] * (encoder.layers - 1)
    )
    first_fed = fixed or context.placement == "classic"
    fed = [first_fed] + [True] * (decoder.layers - 1)
    g = gates[decoder.cell]
    target = sum(g * H * (size + H) for size in [E] + [H] * (decoder.layers - 1))
    target += (H + E) * E + E * V
    of_c = sum(g * H * C for layer in fed if layer) + C * E
    key, query, pair = {
        "fixed": (0, 0, 0),
        "additive": (D * A, H * A, A + C),
        "dot": (0, 0, H + C),
        "general": (D * H, 0, H + C),
        "cosine": (D * H, 0, H + C),
        "multi-head": (D * A, H * A, A + C),
    }[context.kind]
    value = D + (encoder.embedding if context.shortcut else 0)
    source += key + (0 if fixed else value * C)
    target += query + (0 if fixed else of_c)
    products = 0.0
    for batch in batches:
        lengths = batch.lengths.double()
        targets = torch.bincount(batch.target_index // batch.outputs.shape[1]).double()
        products += float((source * lengths + target * targets + pair * lengths * targets).sum())
        products += of_c * len(lengths) if fixed else 0
    passes = 2 if config.training.r_drop else 1
    return passes * 2 * 3 * products


def peak(dtype: torch.dtype, device: torch.device, seconds: float = 2.0) -> float:
    """Measure the peak speed of the device in floating-point operations per second.

    It is the best of many products of two square matrices with 2,048 rows (8,192 on a GPU).

    seconds: How long to measure.
    """
    size = 8192 if device.type == "cuda" else 2048
    one = torch.randn(size, size, device=device).to(dtype)
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        wait(device)
        start = time.perf_counter()
        one @ one
        wait(device)
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def wait(device: torch.device) -> None:
    """Wait until the device has finished all operations."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def machine(device: torch.device, threads: int) -> str:
    """Return the name of the GPU, or the number of CPU threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{threads} threads"


def padding(batches: list[Batch]) -> float:
    """Return the fraction of padding among all positions of the batches, from 0 to 1."""
    real = sum(float(batch.lengths.sum()) + len(batch.target_index) for batch in batches)
    return 1 - real / sum(batch.source.numel() + batch.inputs.numel() for batch in batches)


class Footprint:
    """Measures the memory that the process uses beyond the memory after all imports.

    Create the object after the imports.
    """

    def __init__(self) -> None:
        self.before = self._of("VmRSS")

    def mib(self, device: torch.device) -> float:
        """Return the peak memory in MiB. On a GPU, it is the peak memory of all tensors."""
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device) / 2**20
        return (self._of("VmHWM") - self.before) / 1024

    @staticmethod
    def _of(name: str) -> int:
        """Return a field of /proc/self/status, in KiB."""
        status = Path("/proc/self/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0])


def report(
    learners: dict[str, TrainStep],
    speeds: dict[str, list[float]],
    batches: list[Batch],
    configs: dict[str, Config],
    threads: int,
    footprint: Footprint,
) -> None:
    """Print the results as a Markdown table. speeds: Target tokens per second of each round."""
    base = statistics.median(next(iter(speeds.values())))
    tokens = sum(len(batch.target_index) for batch in batches)
    device = next(iter(learners.values())).device
    memory = footprint.mib(device)  # before peak() allocates its matrices
    peaks = {one.dtype: peak(one.dtype, device) for one in learners.values()}
    print(
        f"torch {torch.__version__}, {machine(device, threads)}, rounds of {len(batches)} updates, "
        f"{tokens / len(batches):,.0f} target tokens per update, padding {padding(batches):.1%}"
    )
    if len(learners) == 1:  # the memory of several variants cannot be separated
        print(f"peak memory without imports: {memory:,.0f} MiB")
    for dtype, rate in peaks.items():
        print(f"peak speed of a matrix product, {dtype}: {rate / 1e9:,.0f} GFLOP/s")
    print(
        "| variant | parameters (M) | precision | tokens/s, median | minimum | maximum | ratio "
        "| MFLOP per token | of the peak |"
    )
    print("|---|---:|---|---:|---:|---:|---:|---:|---:|")
    for name, found in speeds.items():
        one = learners[name]
        millions = sum(p.numel() for p in one.network.parameters()) / 1e6
        precision = str(one.dtype).removeprefix("torch.")
        median = statistics.median(found)
        V = len(one.codec.target)
        work = operations(configs[name], batches, V) / tokens
        print(
            f"| {name} | {millions:.2f} | {precision} | {median:,.0f} | {min(found):,.0f} "
            f"| {max(found):,.0f} | {median / base:.2f} | {work / 1e6:.1f} "
            f"| {work * median / peaks[one.dtype]:.0%} |"
        )


if __name__ == "__main__":
    main()
