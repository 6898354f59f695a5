"""A decoder of benchmarks/decode.py: a model folder or an export of seq2seq, from text to text.

With several workers, an export is translated as `seq2seq translate --jobs` does, with the same
windows of lines. Otherwise one process translates with --threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

import protocol

from seq2seq.cli.machine import set_up_machine
from seq2seq.decoding.micro_batches import LINES_AHEAD, LINES_AHEAD_PER_JOB, windows
from seq2seq.decoding.options import AnySearch, search_options
from seq2seq.decoding.translator import Translator
from seq2seq.decoding.worker_pool import WorkerPool


class Ours:
    """A translator, and on request a pool of workers for the same model."""

    def __init__(self, model: str, threads: int, workers: int, precision: str) -> None:
        set_up_machine(model, threads)
        self.model, self.workers, self.precision = Path(model), workers, precision
        if workers == 1:
            self.translator  # noqa: B018 - loads the model

    @cached_property
    def translator(self) -> Translator:
        """The model in this process, which a pool of workers does not need."""
        return Translator.load(self.model, device="cpu", precision=self.precision)

    def translate(
        self, lines: list[str], beam: int, batch: int, mark: Callable[[], None]
    ) -> Iterator[int]:
        if self.workers > 1:
            return self._share(lines, beam, batch, mark)
        self.translator.batch_size = batch
        list(self.translator.translate_windows([lines[:batch]], _search(beam)))
        mark()
        parts = windows(lines, LINES_AHEAD)
        results = self.translator.translate_windows(parts, _search(beam))
        return (protocol.TOKENS for _ in results)

    def _share(
        self, lines: list[str], beam: int, batch: int, mark: Callable[[], None]
    ) -> Iterator[int]:
        """Translate with workers. Each gets some lines before the clock starts, since a pool starts
        its workers with its work."""
        size = max(1, min(LINES_AHEAD_PER_JOB, len(lines) // (2 * self.workers)))
        first, ready = [lines[: max(64, batch)]] * self.workers, threading.Event()

        def all_windows() -> Iterator[Sequence[str]]:
            yield from first
            ready.wait()
            yield from windows(lines, size)

        pool = WorkerPool([self.model], self.workers, batch_size=batch)
        before = sum(map(len, first))
        results = pool.translate_windows(all_windows(), _search(beam))
        for number, _ in enumerate(results, start=1):
            if number == before:
                mark()
                ready.set()
            elif number > before:
                yield protocol.TOKENS

    def translate_line(self, line: str, beam: int) -> None:
        list(self.translator.translate_windows([[line]], _search(beam)))

    def products(self, lines: list[str], beam: int) -> float:
        """Return how many multiply-adds the translation of a line needs, on average.

        The model must have a bidirectional GRU encoder of one layer, general attention outside the
        recurrence, and a GRU decoder of one layer. Products with embeddings do not count, because
        tables hold them. Per source token: H H 3 in each direction, the key and the value, which
        is folded into the readout. Per target token and hypothesis: H H 3, the readout, the output
        layer over the words of the shortlist, and a score and a weighted value per source token.
        """
        import numpy as np

        config, codec = self.translator.configs[0], self.translator.codec
        encoder, decoder = config.encoder, config.decoder
        H, E, D = decoder.hidden, decoder.embedding, encoder.state_size
        source = 3 * encoder.hidden**2 * 2 + D * H + D * E
        rows, total = 1 + beam * (protocol.TOKENS - 1), 0
        members = getattr(self.translator.engine, "members", [])
        for ids in codec.source_ids(lines):
            words = len(codec.target)
            if members and members[0].export.has_shortlist:
                shortlist = members[0].shortlist
                words = len(shortlist.frequent) + shortlist.rare([np.array(ids)]).shape[1]
            S = len(ids) + 1
            total += S * source + rows * (3 * H * H + H * E + E * words + S * (H + E))
        return total / len(lines)

    def int8_peak(self, size: int = 2048, seconds: float = 1.5) -> float:
        """Return the largest number of 8-bit multiply-adds a second of one thread, in the product
        of two square matrices with ONNX Runtime."""
        import numpy as np
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        weight = np.random.default_rng(1).integers(-63, 64, (size, size), np.int8)
        graph = helper.make_graph(
            [helper.make_node("MatMulInteger", ["x", "weight"], ["y"])],
            "product",
            [helper.make_tensor_value_info("x", TensorProto.UINT8, [size, size])],
            [helper.make_tensor_value_info("y", TensorProto.INT32, [size, size])],
            [numpy_helper.from_array(weight, "weight")],
        )
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        feeds = {"x": np.full((size, size), 100, np.uint8)}
        best, end = 0.0, time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            session.run(None, feeds)
            best = max(best, size**3 / (time.perf_counter() - start))
        return best


def _search(beam: int) -> AnySearch:
    return search_options(beam=beam, min_length=protocol.TOKENS, max_length=protocol.TOKENS)


if __name__ == "__main__":
    given = protocol.parsed(__doc__)
    protocol.serve(Ours(given.model, given.threads, given.workers, given.precision))
