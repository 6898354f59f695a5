"""Decoders that mix several distributions, as ONNX nodes: copying, hard monotonic attention.

ReduceLogSum computes all logarithms. The operator Log would compute an element in a different way
depending on its position, so a row could depend on its neighbours.

Shapes use these letters: B sources, K hypotheses of each source, N = B · K hypotheses, S source
length, E size of an embedding, V size of the vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from seq2seq.export.contexts import AttentionGraph, ContextGraph, Encoded
from seq2seq.export.decoder_graph import DecoderGraph
from seq2seq.export.graph import GraphBuilder, TensorType, to_array, weight_and_bias
from seq2seq.export.ranges import Ranges
from seq2seq.export.tables import Tables

COPIED = TensorType("copied", np.int64, ("B", "S"))
_WRITTEN = TensorType("written", np.int64, ("N",))
_TINY = float(np.finfo(np.float32).tiny)
_IMPOSSIBLE = -1e9  # logarithm of a probability that is 0


class CopyingDecoderGraph(DecoderGraph):
    """A `CopyingDecoder`. The input `copied` of a step holds the target id of each source token."""

    def __init__(self, decoder: Any, kind: str, ranges: Ranges) -> None:
        super().__init__(decoder, kind, ranges)
        self.added = [COPIED]
        self.columns = "V + S"

    def log_probabilities(self, graph: GraphBuilder, readout: str, weights: str | None) -> str:
        """Add the output layer and the copying. Return log-probabilities [N, V + S].

        readout: [N, E].
        weights: the attention weights, [B, K, S].
        """
        assert weights is not None
        copied = graph.op("Unsqueeze", "copied", graph.ids(1))
        copied = graph.op("Expand", copied, graph.op("Shape", weights))  # [B, K, S]
        length = graph.op("Shape", "copied", start=1, end=2)
        shape = graph.op("Concat", graph.ids(-1), length, axis=0)
        copied, weights = (graph.op("Reshape", x, shape) for x in (copied, weights))  # [N, S]
        nothing = graph.op("Mul", weights, graph.constant(np.float32(0)))
        return copy_mixture_graph(graph, self.decoder, readout, copied, weights, nothing)


def copy_mixture_graph(
    graph: GraphBuilder,
    decoder: Any,
    readout: str,
    copied: str,
    weights: str,
    nothing: str,
    mask: str | None = None,
) -> str:
    """Return the logarithms of the probabilities of `copy_mixture`, [R, V + S].

    readout: [R, E], from -1 to 1.
    copied, weights: [R, I].
    nothing: zeros, [R, S].
    mask: values to add to the logits, [R, V]; None to add nothing.
    """
    gate, output = (
        graph.product(readout, *weight_and_bias(module), bound=1.0)
        for module in (decoder.gate, decoder.output)
    )
    if mask is not None:
        output = graph.op("Add", output, mask)
    g = graph.op("Sigmoid", gate)  # [R, 1]
    p = graph.op("Mul", graph.op("Softmax", output, axis=-1), g)  # [R, V]
    share = graph.op("Mul", weights, graph.op("Sub", graph.constant(np.float32(1)), g))
    p = graph.op("Concat", p, nothing, axis=1)
    p = graph.op("ScatterElements", p, copied, share, axis=1, reduction="add")
    return graph.op("ReduceLogSum", graph.op("Unsqueeze", p, graph.ids(1)), axes=[1], keepdims=0)


class MonotonicAttentionGraph(AttentionGraph):
    """The attention of a `MonotonicDecoder`: the values are parts of the readout."""

    is_fed = False

    def transitions(self, graph: GraphBuilder, query: str, memory: dict[str, str]) -> str:
        """Return the probabilities of moving from position j to position i, [N, S, S]."""
        scores = self._scores(graph, query, memory["keys"])  # [B, K, S]
        mask = graph.op("Unsqueeze", memory["mask"], graph.ids(1))
        scores = graph.op("Add", scores, mask)
        S = graph.op("Shape", memory["mask"], start=1, end=2)
        rows = graph.op("Concat", graph.ids(-1, 1), S, axis=0)
        scores = graph.op("Reshape", scores, rows)  # [N, 1, S]
        square = graph.op("Concat", S, S, axis=0)
        back = graph.op("Expand", graph.constant(np.float32(_IMPOSSIBLE)), square)
        back = graph.op("Trilu", back, graph.constant(np.int64(-1)), upper=0)  # i < j
        return graph.op("Softmax", graph.op("Add", scores, back), axis=-1)


class MonotonicDecoderGraph(DecoderGraph):
    """A `MonotonicDecoder`. Its state includes `joint`, see `DecoderState`."""

    context: MonotonicAttentionGraph

    def __init__(self, decoder: Any, kind: str, ranges: Ranges) -> None:
        super().__init__(decoder, kind, ranges)
        self.size = int(decoder.output.out_features)
        if decoder.gate is not None:
            self.added = [COPIED, _WRITTEN]
            self.columns = "V + S"
        self.states.append(TensorType("state.joint", np.float32, ("N", self.columns, "S")))

    def _context(self, kind: str) -> ContextGraph:
        module, C = self.decoder.context, self.decoder.context.size
        return MonotonicAttentionGraph(
            module,
            [to_array(self.decoder.readout.weight)[:, -C:]],
            "additive",
            query_size=self.decoder.hidden,
            query_bound=self.bounds[-1],
            value_bound=self.ranges[module.value],
        )

    def start(self, graph: GraphBuilder, encoded: Encoded) -> list[str]:
        """Return the state before the first step. The alignment is at the first position."""
        S, B = graph.split(encoded.lead, [1, 1], axis=0)
        V, one = graph.ids(self.size), graph.ids(1)
        if self.added:
            V = graph.op("Add", V, S)
        rest = graph.op("Concat", B, V, graph.op("Sub", S, one), axis=0)
        first = graph.op("Concat", B, V, one, axis=0)
        parts = [
            graph.op("Expand", graph.constant(np.float32(value)), shape)
            for value, shape in ((0, first), (-np.inf, rest))
        ]
        return [*super().start(graph, encoded), graph.op("Concat", *parts, axis=2)]

    def step(
        self, graph: GraphBuilder, tables: Tables, tokens: str, memory: dict[str, str]
    ) -> tuple[str, list[str], str | None]:
        """Add one step. Return log-probabilities [N, V], the state and the weights [B, K, S]."""
        hidden, after, _ = super().step(graph, tables, tokens, memory)
        moves = self.context.transitions(graph, hidden, memory)  # [N, S, S]
        place = graph.op("Unsqueeze", "written" if self.added else tokens, graph.ids(1))
        before = graph.op("GatherND", "state.joint", place, batch_dims=1)  # [N, S]
        before = graph.op("Unsqueeze", graph.op("Softmax", before, axis=-1), graph.ids(2))
        prior = graph.op(
            "ReduceLogSum", graph.op("Mul", before, moves), axes=[1], keepdims=0
        )  # [N, S]
        emission = self._emission(graph, tables, tokens, hidden, memory["values"])  # [N, S, V]
        joint = graph.op("Add", emission, graph.op("Unsqueeze", prior, graph.ids(2)))
        p = graph.op("Exp", joint)
        if not self.added:  # otherwise, some ids stand for no token
            p = graph.op("Max", p, graph.constant(np.float32(_TINY)))
        log_p = graph.op("ReduceLogSum", p, axes=[1], keepdims=0)
        batch = graph.op("Shape", memory["values"], start=0, end=2)
        B, S = graph.split(batch, [1, 1], axis=0)
        shape = graph.op("Concat", B, graph.ids(-1), S, axis=0)
        weights = graph.op("Reshape", graph.op("Exp", prior), shape)
        return log_p, [*after, graph.op("Transpose", joint, perm=[0, 2, 1])], weights

    def _emission(
        self, graph: GraphBuilder, tables: Tables, tokens: str, hidden: str, values: str
    ) -> str:
        """Return the log-probability of each token at each position, [N, S, V]."""
        E = self.decoder.embedding.embedding_dim
        known = self._known_readout(graph, tables, tokens, hidden)  # [N, E]
        B, S = graph.split(graph.op("Shape", values, start=0, end=2), [1, 1], axis=0)
        shape = graph.op("Concat", B, graph.ids(-1, 1, E), axis=0)
        known = graph.op("Reshape", known, shape)  # [B, K, 1, E]
        values = graph.op("Unsqueeze", values, graph.ids(1))  # [B, 1, S, E]
        r = graph.reshape(graph.op("Tanh", graph.op("Add", known, values)), -1, E)
        if self.added:
            return self._copy_emission(graph, r, known, S)
        logits = graph.product(r, *weight_and_bias(self.decoder.output), bound=1.0)
        emission = graph.op("LogSoftmax", logits, axis=-1)  # [N · S, V]
        rows = graph.op("Concat", graph.ids(-1), S, graph.ids(self.size), axis=0)
        return graph.op("Reshape", emission, rows)

    def _copy_emission(self, graph: GraphBuilder, r: str, known: str, S: str) -> str:
        """Return the log-probability of each token at each position, [N, S, V + S].

        r: the readouts, [N · S, E].
        known: an array [B, K, 1, E].
        """
        copied = graph.op("Unsqueeze", "copied", graph.ids(1))
        rows = graph.op("Concat", graph.op("Shape", known, start=0, end=2), S, axis=0)
        copied = graph.reshape(graph.op("Expand", copied, rows), -1, 1)  # [N · S, 1]
        one = graph.constant(np.float32(1))
        shape = graph.op("Concat", graph.op("Shape", copied, start=0, end=1), S, axis=0)
        nothing = graph.op("Expand", graph.constant(np.float32(0)), shape)
        emission = copy_mixture_graph(graph, self.decoder, r, copied, one, nothing)
        width = graph.op("Add", graph.ids(self.size), S)
        return graph.op("Reshape", emission, graph.op("Concat", graph.ids(-1), S, width, axis=0))

    def _readout(
        self, graph: GraphBuilder, tables: Tables, tokens: str, hidden: str, *_: Any
    ) -> str:
        return hidden

    def log_probabilities(self, graph: GraphBuilder, readout: str, weights: str | None) -> str:
        """Return the log-probabilities that `step` has computed."""
        return readout
