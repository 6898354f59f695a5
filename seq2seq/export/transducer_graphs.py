"""A transducer as ONNX nodes: a decoder with a pointer into the source.

Shapes use these letters: B sources, K hypotheses of each source, N = B · K hypotheses, S source
length, F the sum of the output sizes of all layers that read the context, V number of actions that
do not copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seq2seq.export.contexts import ContextGraph, Encoded
from seq2seq.export.decoder_graph import DecoderGraph
from seq2seq.export.graph import GraphBuilder, TensorType, to_array, weight_and_bias
from seq2seq.export.mixture_graphs import COPIED, copy_mixture_graph
from seq2seq.export.ranges import Ranges
from seq2seq.export.tables import Tables

_FLOAT, _INT64 = 1, 7  # codes of the data types in ONNX


class PointerGraph(ContextGraph):
    """The context of a transducer: the value at the pointer.

    `read` sets two names of tensors:

    pointers: the pointers, [B, K] int64.
    ended: whether each pointer is at the end of its source, [N, 1] bool.
    """

    has_weights = True

    def __init__(self, module: Any, readers: list[np.ndarray], size: int) -> None:
        """Prepare the context of a decoder with `size` actions (see `seq2seq.text.actions`)."""
        super().__init__(module, readers)
        self.size, self.pointers, self.ended = size, "", ""
        self.constant = self.readers @ to_array(module.value.bias)

    def prepare(self, graph: GraphBuilder, encoded: Encoded) -> dict[str, str]:
        values = encoded.project_values(graph, self.readers @ to_array(self.module.value.weight))
        S, B = graph.split(encoded.lead, [1, 1], axis=0)
        shape = graph.op("Concat", B, graph.ids(1), axis=0)
        last = graph.op("Expand", graph.op("Sub", S, graph.ids(1)), shape)
        values = graph.op("Transpose", values, perm=[1, 0, 2])
        return {"values": values, "end": graph.op("Cast", last, to=_FLOAT)}

    def memory(self) -> list[TensorType]:
        return [
            TensorType("values", np.float32, ("B", "S", len(self.readers))),
            TensorType("end", np.float32, ("B", 1)),
        ]

    def read(
        self, graph: GraphBuilder, query: str | None, memory: dict[str, str]
    ) -> tuple[list[str], str | None]:
        moves = graph.op("Less", "tokens", graph.constant(np.int64(self.size // 2)))
        moves = graph.op("Unsqueeze", graph.op("Cast", moves, to=_FLOAT), graph.ids(1))
        batch = graph.op("Shape", memory["values"], start=0, end=1)
        rows = graph.op("Concat", batch, graph.ids(-1), axis=0)
        pointers = graph.op("Reshape", graph.op("Add", "state.pointer", moves), rows)
        pointers = graph.op("Min", pointers, memory["end"])  # [B, K]
        self.ended = graph.reshape(graph.op("Equal", pointers, memory["end"]), -1, 1)
        self.pointers = graph.op("Cast", pointers, to=_INT64)
        places = graph.op("Unsqueeze", self.pointers, graph.ids(2))
        c = graph.op("GatherND", memory["values"], places, batch_dims=1)  # [B, K, F]
        S = graph.op("Squeeze", graph.op("Shape", memory["values"], start=1, end=2))
        every = graph.op("Range", graph.constant(np.int64(0)), S, graph.constant(np.int64(1)))
        weights = graph.op("Cast", graph.op("Equal", places, every), to=_FLOAT)  # [B, K, S]
        return graph.split(graph.reshape(c, -1, len(self.readers)), self.widths), weights


class TransducerDecoderGraph(DecoderGraph):
    """The graphs of a `TransducerDecoder`. The state includes `pointer` (see `DecoderState`)."""

    context: PointerGraph

    def __init__(self, decoder: Any, kind: str, ranges: Ranges) -> None:
        super().__init__(decoder, kind, ranges)
        if decoder.gate is not None:
            self.added, self.columns = [COPIED], "V + S"
        self.states.append(TensorType("state.pointer", np.float32, ("N", 1)))

    def _context(self, kind: str) -> ContextGraph:
        C = self.decoder.context.size
        readers = [weight for layer in self.layers for weight in layer.of_context]
        readers.append(to_array(self.decoder.readout.weight)[:, -C:])
        return PointerGraph(self.decoder.context, readers, self.decoder.output.out_features)

    def start(self, graph: GraphBuilder, encoded: Encoded) -> list[str]:
        """Return the state before the first step. The pointer is at -1, in front of the source."""
        B = graph.op("Gather", encoded.lead, graph.ids(1))
        shape = graph.op("Concat", B, graph.ids(1), axis=0)
        pointer = graph.op("Expand", graph.constant(np.float32(-1)), shape)
        return [*super().start(graph, encoded), pointer]

    def step(
        self, graph: GraphBuilder, tables: Tables, tokens: str, memory: dict[str, str]
    ) -> tuple[str, list[str], str | None]:
        """Add one step, as `DecoderGraph.step` explains."""
        readout, after, weights = super().step(graph, tables, tokens, memory)
        pointer = graph.reshape(graph.op("Cast", self.context.pointers, to=_FLOAT), -1, 1)
        return readout, [*after, pointer], weights

    def log_probabilities(self, graph: GraphBuilder, readout: str, weights: str | None) -> str:
        """Add the output layer. Return log-probabilities [N, V], or [N, V + S] with copying."""
        size = int(self.decoder.output.out_features)
        inside, ended = np.zeros((2, 1, size), np.float32)
        inside[0, self.decoder.eos] = -np.inf
        ended[0, self.decoder.bos], ended[0, size // 2 :] = -np.inf, -np.inf
        mask = graph.op(
            "Where", self.context.ended, graph.constant(ended), graph.constant(inside)
        )  # [N, V]
        if not self.added:
            weight, bias = weight_and_bias(self.decoder.output)
            logits = graph.product(readout, weight, bias, bound=1.0)
            return graph.op("LogSoftmax", graph.op("Add", logits, mask), axis=-1)
        places = graph.op("Unsqueeze", self.context.pointers, graph.ids(2))
        copied = graph.reshape(
            graph.op("GatherND", "copied", places, batch_dims=1), -1, 1
        )  # [N, 1]
        one = graph.constant(np.float32(1))
        rows, S = (
            graph.op("Shape", x, start=axis, end=axis + 1)
            for x, axis in ((readout, 0), ("copied", 1))
        )
        shape = graph.op("Concat", rows, S, axis=0)
        nothing = graph.op("Expand", graph.constant(np.float32(0)), shape)
        return copy_mixture_graph(graph, self.decoder, readout, copied, one, nothing, mask)
