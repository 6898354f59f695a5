"""One step of the decoder as ONNX nodes. Products that do not depend on the step are precomputed.

Shapes use these letters: B sources, K hypotheses of each source, N = B · K hypotheses, E size of an
embedding, H hidden units, V size of the vocabulary, m frequent tokens, n rare tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from seq2seq.export.cells import CellWeights
from seq2seq.export.contexts import AttentionGraph, ContextGraph, Encoded, SharedContextGraph
from seq2seq.export.graph import (
    STEPS,
    WEIGHT_STEPS,
    ZERO,
    GraphBuilder,
    GraphPrecision,
    TensorType,
    quantize_rows,
    to_array,
    weight_and_bias,
)
from seq2seq.export.ranges import Ranges
from seq2seq.export.tables import Tables


@dataclass(frozen=True)
class LayerWeights:
    """The weights of one layer of the decoder.

    cell: the weights for the input without the context vector c.
    of_context: the weight for c of each group of gates, [W, C]. Empty if the layer does not receive
        c.
    """

    cell: CellWeights
    of_context: list[np.ndarray]


class DecoderGraph:
    """The parts of a decoder, ready to be added to the graphs `encode` and `step`.

    context: the context, or None for a language model.
    states: the arrays of the state. Each layer has one, and an LSTM layer has two.
    added: further inputs of a step, with one row per source.
    columns: the number of columns of the log-probabilities.
    """

    def __init__(self, decoder: Any, kind: str, ranges: Ranges) -> None:
        self.decoder, self.ranges = decoder, ranges
        self.bounds = ranges.of_stack(decoder.stack)
        self.layers = [self._layer(number) for number in range(len(decoder.stack.forwards))]
        self.context = self._context(kind) if decoder.context.size else None
        self.added: list[TensorType] = []
        self.columns: int | str = int(decoder.output.out_features)
        self.states = [
            TensorType(f"state.{layer}.{part}", np.float32, ("N", decoder.hidden))
            for layer in range(len(self.layers))
            for part in range(decoder.parts)
        ]

    def _layer(self, number: int) -> LayerWeights:
        layer = self.decoder.stack.forwards[number]
        cell = CellWeights.of_layer(layer, self.ranges.of_layer(layer))
        fed = cell.of_input[0].shape[1] - self._input_size(number)
        if not fed:
            return LayerWeights(cell, [])
        of_context = [weight[:, -fed:] for weight in cell.of_input]
        cell.of_input[:] = [weight[:, :-fed] for weight in cell.of_input]
        return LayerWeights(cell, of_context)

    def _input_size(self, number: int) -> int:
        return int(self.decoder.hidden if number else self.decoder.embedding.embedding_dim)

    def _context(self, kind: str) -> ContextGraph:
        C = self.decoder.context.size
        readers = [weight for layer in self.layers for weight in layer.of_context]
        readers.append(to_array(self.decoder.readout.weight)[:, -C:])
        module = self.decoder.context
        if module.query_independent:
            return SharedContextGraph(module, readers, by_position=hasattr(module, "value"))
        query = self.ranges.of_layer(self.decoder.stack.forwards[0])
        return AttentionGraph(
            module,
            readers,
            kind,
            query_size=self.decoder.hidden,
            query_bound=query if self.decoder.classic else self.bounds[0],
            value_bound=self.ranges[module.value],
        )

    def start(self, graph: GraphBuilder, encoded: Encoded) -> list[str]:
        """Return the state before the first step: tanh(W · summary + b)."""
        weight, bias = weight_and_bias(self.decoder.bridge)
        x = graph.op("Tanh", graph.product(encoded.summary, weight, bias, bound=1.0))
        return graph.split(x, [self.decoder.hidden] * (len(self.layers) * self.decoder.parts))

    def step(
        self, graph: GraphBuilder, tables: Tables, tokens: str, memory: dict[str, str]
    ) -> tuple[str, list[str], str | None]:
        """Add one step of the decoder, without the output layer.

        tokens: the last token of each row, [N] int64.
        memory: the values of `ContextGraph.memory` by name.

        Returns three values: the readout [N, E] (or [N, H] without a source), the next state, and
        the attention weights [B, K, S] or None.
        """
        decoder, vectors = self.decoder, to_array(self.decoder.embedding.weight)
        constants = self._constants()
        parts, depth = range(decoder.parts), range(len(self.layers))
        before = [[f"state.{layer}.{part}" for part in parts] for layer in depth]
        shares: list[str] = []
        weights: str | None = None
        asked = self.context is None or not self.context.is_fed
        if self.context is not None and (decoder.classic or decoder.context.query_independent):
            query = before[0][0] if decoder.classic else None
            shares, weights = self.context.read(graph, query, memory)
            asked = True
        x, after = "", []
        for number, layer in enumerate(self.layers):
            of_context = constants[: len(layer.of_context)]
            constants = constants[len(layer.of_context) :]
            fed = [shares.pop(0) for _ in of_context]
            gates = []
            for piece, weight in enumerate(layer.cell.of_input):
                bias = layer.cell.bias[piece] + (of_context[piece] if of_context else 0)
                if number:
                    gate = graph.product(x, weight, bias, bound=self.bounds[number - 1])
                else:
                    gate = graph.op("Gather", tables.add(vectors, weight, bias), tokens)
                gates.append(self._spread(graph, gate, fed[piece], len(weight)) if fed else gate)
            state = layer.cell.step(graph, gates, before[number])
            after += state
            x = graph.op("Add", state[0], x) if number else state[0]
            if len(decoder.stack.norms):
                x = graph.layer_norm(x, decoder.stack.norms[number])
            if self.context is not None and not asked:
                shares, weights = self.context.read(graph, x, memory)
                asked = True
        return self._readout(graph, tables, tokens, x, shares), after, weights

    def _constants(self) -> list[np.ndarray]:
        if self.context is None:
            return []
        return np.split(self.context.constant, np.cumsum(self.context.widths)[:-1])

    def _spread(self, graph: GraphBuilder, x: str, share: str, width: int) -> str:
        """Return x [N, W] plus the product of the context vector and a weight.

        width: W.
        share: the product, [N, W], or [B, 1, W] if all rows of a source have the same context.
        """
        if not isinstance(self.context, SharedContextGraph):
            return graph.op("Add", x, share)
        batch = graph.op("Shape", share, start=0, end=1)
        shape = graph.op("Concat", batch, graph.ids(-1, width), axis=0)
        whole = graph.op("Add", graph.op("Reshape", x, shape), share)
        return graph.reshape(whole, -1, width)

    def _readout(
        self, graph: GraphBuilder, tables: Tables, tokens: str, hidden: str, shares: list[str]
    ) -> str:
        """Return the readout tanh(W [h ; y ; c] + b), or h for a language model."""
        if self.context is None:
            return hidden
        x = self._known_readout(graph, tables, tokens, hidden)
        return graph.op("Tanh", self._spread(graph, x, shares[0], self.context.widths[-1]))

    def _known_readout(self, graph: GraphBuilder, tables: Tables, tokens: str, hidden: str) -> str:
        """Return W [h ; y] + b, the part of the readout that does not depend on the context."""
        weight, bias = weight_and_bias(self.decoder.readout)
        H, E = self.decoder.hidden, self.decoder.embedding.embedding_dim
        vectors = to_array(self.decoder.embedding.weight)
        table = tables.add(vectors, weight[:, H : H + E], bias + self._constants()[-1])
        x = graph.product(hidden, weight[:, :H], bound=self.bounds[-1])
        return graph.op("Add", x, graph.op("Gather", table, tokens))

    @property
    def _output_bound(self) -> float:
        return self.bounds[-1] if self.context is None else 1.0

    def log_probabilities(self, graph: GraphBuilder, readout: str, weights: str | None) -> str:
        """Add the output layer for the readout [N, E]. Return log-probabilities [N, V]."""
        weight, bias = weight_and_bias(self.decoder.output)
        logits = graph.product(readout, weight, bias, bound=self._output_bound)
        return graph.op("LogSoftmax", logits, axis=-1)

    def candidate_log_probabilities(
        self, graph: GraphBuilder, readout: str, frequent: np.ndarray
    ) -> str:
        """Add the output layer of a shortlist, and return log-probabilities [N, m + n].

        readout: [N, E].
        frequent: the tokens that every source allows, [m]. Their columns of the output layer are
            constants of the graph. The columns of the rare tokens are inputs, because they differ
            from source to source.
        """
        weight, bias = weight_and_bias(self.decoder.output)
        bound, columns = self._output_bound, "candidate.weight"
        common = graph.product(readout, weight[frequent], bias[frequent], bound=bound)
        batch = graph.op("Shape", columns, start=0, end=1)
        shape = graph.op("Concat", batch, graph.ids(-1, weight.shape[1]), axis=0)
        if graph.precision == "fp32":
            rare = graph.op("MatMul", graph.op("Reshape", readout, shape), columns)
        else:
            x = graph.op("Reshape", graph.quantize(readout, bound), shape)
            whole = graph.op("MatMulInteger", x, columns, graph.constant(ZERO))
            rare = graph.op("Mul", graph.op("Cast", whole, to=1), "candidate.scale")
        rare = graph.op("Add", rare, "candidate.bias")
        width = graph.op("Shape", columns, start=2, end=3)
        rare = graph.op("Reshape", rare, graph.op("Concat", graph.ids(-1), width, axis=0))
        return graph.op("LogSoftmax", graph.op("Concat", common, rare, axis=1), axis=-1)

    def candidate_types(self, precision: GraphPrecision) -> list[TensorType]:
        """Return the types of the arrays that hold the output layer's columns of rare tokens."""
        dtype = np.float32 if precision == "fp32" else np.int8
        weight = TensorType("candidate.weight", dtype, ("G", self.decoder.output.in_features, "n"))
        names = ["bias"] if precision == "fp32" else ["scale", "bias"]
        rest = [TensorType(f"candidate.{name}", np.float32, ("G", 1, "n")) for name in names]
        return [weight, *rest]

    def candidates(self, precision: GraphPrecision) -> onnx.ModelProto:
        """Return the graph `candidates`, which selects the output layer's columns of given tokens.

        The input `ids` [G, n] int64 holds token ids. An id of -1 stands for no token. Its bias is
        -inf.
        """
        graph = GraphBuilder(precision)
        weight, bias = weight_and_bias(self.decoder.output)
        types = self.candidate_types(precision)
        ids = graph.op("Max", "ids", graph.constant(np.int64(0)))
        if precision == "int8":
            steps, scales = quantize_rows(weight, WEIGHT_STEPS)
            scales = scales * np.float32(self._output_bound / STEPS)
            factors = graph.op("Gather", graph.constant(scales, "scale"), ids)
            graph.rename(graph.op("Unsqueeze", factors, graph.ids(1)), types[1].name)
            weight = steps
        columns = graph.op("Gather", graph.constant(weight, "weight"), ids)  # [G, n, E]
        graph.rename(graph.op("Transpose", columns, perm=[0, 2, 1]), types[0].name)
        added = graph.op("Gather", graph.constant(bias, "bias"), ids)
        missing = graph.op("Less", "ids", graph.constant(np.int64(0)))
        added = graph.op("Where", missing, graph.constant(np.float32(-np.inf)), added)
        graph.rename(graph.op("Unsqueeze", added, graph.ids(1)), types[-1].name)
        return graph.model("candidates", [TensorType("ids", np.int64, ("G", "n"))], types)
