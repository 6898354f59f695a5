"""The encoder as ONNX nodes: a recurrent stack over the source, and the pooling of its states.

Shapes use these letters: B sources of one length, S their length, E size of an embedding, D size of
an encoder state, C size of the context vector, f largest number of features of a token.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from seq2seq.export.cells import CellWeights, run_layer
from seq2seq.export.contexts import Encoded
from seq2seq.export.graph import GraphBuilder, to_array
from seq2seq.export.ranges import Ranges
from seq2seq.export.tables import Tables


@dataclass(frozen=True)
class EmbeddedFeatures:
    """Looks up products of the embeddings of the words' features.

    vectors: the embeddings, [features + 1, E]. Row 0 is zero.
    ids: the name of the feature numbers, [f, S, B] int64.
    bound: the largest absolute value in the sum of the scaled embeddings of token and features.
    """

    vectors: np.ndarray
    ids: str
    bound: float

    def add_to(self, graph: GraphBuilder, x: str, table: str) -> str:
        """Add the rows of the features in a table [T, W] to x [S, B, W].

        The rows are added one after the other, so that rows of zeros change no bit of the sum.
        """
        rows = graph.op("Gather", table, self.ids)
        body = GraphBuilder(graph.precision, prefix=graph.op("Identity", rows) + ".")
        total, row = f"{body.prefix}total", f"{body.prefix}row"
        loop = body.body([(total, 3), (row, 3)], [(body.op("Add", total, row), 3)])
        return graph.ops("Scan", x, rows, outputs=1, body=loop, num_scan_inputs=1)[0]


@dataclass(frozen=True)
class EmbeddedSource:
    """The embeddings of the source tokens, and a look-up of their products with a weight.

    vectors: the embeddings, [V, E]. Those of features that stand in front of the tokens follow.
    tokens: the name of the token ids, [S, B] int64.
    scale: the factor that the embeddings are multiplied by.
    features: the features of the words, whose embeddings are added; None if there are none.
    """

    graph: GraphBuilder
    tables: Tables
    vectors: np.ndarray
    tokens: str
    scale: float = 1.0
    features: EmbeddedFeatures | None = None

    @property
    def size(self) -> int:
        """E, the size of an embedding."""
        return int(self.vectors.shape[1])

    @property
    def bound(self) -> float:
        """The largest absolute value in the scaled embeddings."""
        if self.features is not None:
            return self.features.bound
        return float(np.abs(self.vectors).max()) * self.scale

    def __call__(self, weight: np.ndarray, bias: np.ndarray | None = None) -> str:
        """Return W x + b for each embedding x, [S, B, W].

        weight: W, [W, E].
        bias: b, [W].
        """
        scaled = weight * np.float32(self.scale)
        x = self.graph.op("Gather", self.tables.add(self.vectors, scaled, bias), self.tokens)
        if self.features is None:
            return x
        return self.features.add_to(self.graph, x, self.tables.add(self.features.vectors, scaled))

    def plain(self) -> str:
        """Return the scaled embeddings, [S, B, E]."""
        x = self.graph.op("Gather", self.tables.add(self.vectors, None), self.tokens)
        if self.features is not None:
            table = self.tables.add(self.features.vectors, None)
            x = self.features.add_to(self.graph, x, table)
        return self.graph.op("Mul", x, self.graph.constant(np.float32(self.scale)))


def run_stack(
    graph: GraphBuilder,
    stack: Any,
    first: Callable[[np.ndarray, np.ndarray], str],
    lead: str,
    ranges: Ranges,
) -> str:
    """Add a `RecurrentStack` to a graph, and return its states, [S · B, D].

    All texts of a batch have the same length S.

    first: a function that returns the products of weight and input of the first layer, [S, B, W].
        Its arguments are a weight [W, I] and a bias [W].
    lead: the name of the array that holds the shape (S, B).
    """
    bounds, x, flat = ranges.of_stack(stack), "", ""
    batch = graph.op("Slice", lead, graph.ids(1), graph.ids(2))
    for number in range(len(stack.forwards)):
        layers = [part[number] for part in (stack.forwards, stack.backwards) if len(part)]
        cells = [CellWeights.of_layer(layer, ranges.of_layer(layer)) for layer in layers]
        shape = graph.op("Concat", batch, graph.ids(cells[0].size), axis=0)
        zeros = graph.op("ConstantOfShape", shape)

        def product(weight: np.ndarray, bias: np.ndarray, number: int = number) -> str:
            if not number:
                return first(weight, bias)
            y = graph.product(flat, weight, bias, bound=bounds[number - 1])  # noqa: B023
            shape = graph.op("Concat", lead, graph.ids(len(weight)), axis=0)
            return graph.op("Reshape", y, shape)

        gates = [list(map(product, cell.of_input, cell.bias)) for cell in cells]
        outputs = run_layer(graph, cells, gates, zeros)
        y = graph.op("Concat", *outputs, axis=-1) if len(cells) > 1 else outputs[0]
        x = graph.op("Add", y, x) if number else y
        if len(stack.norms):
            x = graph.layer_norm(x, stack.norms[number])
        flat = graph.reshape(x, -1, stack.output_size)
    return flat


def encode_text(
    graph: GraphBuilder, tables: Tables, encoder: Any, tokens: str, ranges: Ranges
) -> Encoded:
    """Add an encoder that reads texts of one length.

    tokens: the name of the token ids, [B, S] int64. Each row ends with EOS.

    If words have features, they are the input `features` of the graph, [B, S, f] int64.
    """
    tokens = graph.op("Transpose", tokens, perm=[1, 0])
    lead = graph.op("Shape", tokens)
    vectors, features = to_array(encoder.embedding.weight), None
    if encoder.features is not None and encoder.features_per_word:
        ids = graph.op("Transpose", "features", perm=[2, 1, 0])
        bound = ranges[encoder.embedding_dropout]
        features = EmbeddedFeatures(to_array(encoder.features.weight), ids, bound)
    elif encoder.features is not None:
        vectors = np.concatenate([vectors, to_array(encoder.features.weight)])
    embedded = EmbeddedSource(graph, tables, vectors, tokens, vectors.shape[1] ** 0.5, features)
    states = run_stack(graph, encoder.stack, embedded, lead, ranges)
    bound = ranges.of_stack(encoder.stack)[-1]
    values = embedded if encoder.shortcut else None
    before = Encoded(states, bound, "", lead, values)
    summary = _pool(graph, encoder.pooling, before, encoder.stack.output_size)
    return Encoded(states, bound, summary, lead, values)


def _pool(graph: GraphBuilder, pooling: Any, encoded: Encoded, size: int) -> str:
    """Return the summary of each source, [B, C]: tanh(norm(W · pooled + b)).

    size: D, the size of a state.
    """
    weight, bias = to_array(pooling.project.weight), to_array(pooling.project.bias)
    states = graph.op("Transpose", encoded.restore(graph, encoded.states, size), perm=[1, 0, 2])
    match pooling.kind:
        case "last":
            x = graph.op("Gather", states, graph.constant(np.int64(-1)), axis=1)
            if pooling.bidirectional:
                first = graph.op("Gather", states, graph.constant(np.int64(0)), axis=1)
                ends = graph.split(x, [size // 2] * 2)[0], graph.split(first, [size // 2] * 2)[1]
                x = graph.op("Concat", *ends, axis=-1)
            x = graph.product(x, weight, bias, bound=encoded.bound)
        case "max":
            x = graph.op("ReduceMax", states, axes=[1], keepdims=0)
            x = graph.product(x, weight, bias, bound=encoded.bound)
        case _:
            weights = _pooling_weights(graph, pooling, encoded)
            x = _average(graph, weights, states, encoded, size, (weight, bias))
    return graph.op("Tanh", graph.layer_norm(x, pooling.norm))


def _pooling_weights(graph: GraphBuilder, pooling: Any, encoded: Encoded) -> str:
    """Return the pooling weight of each position, [B, heads, S]. For the mean, all are equal."""
    if pooling.kind == "mean":
        length = graph.op("Slice", encoded.lead, graph.ids(0), graph.ids(1))
        batch = graph.op("Slice", encoded.lead, graph.ids(1), graph.ids(2))
        shape = graph.op("Concat", batch, graph.ids(1), length, axis=0)
        share = graph.op("Reciprocal", graph.op("Cast", length, to=1))
        return graph.op("Expand", share, shape)
    key, key_bias = to_array(pooling.key.weight), to_array(pooling.key.bias)
    keys = graph.product(encoded.states, key, key_bias, bound=encoded.bound)
    queries = to_array(pooling.queries.weight)
    scores = graph.product(graph.op("Tanh", keys), queries, bound=1.0)
    scores = graph.op("Transpose", encoded.restore(graph, scores, len(queries)), perm=[1, 2, 0])
    return graph.op("Softmax", scores, axis=-1)


def _average(
    graph: GraphBuilder,
    weights: str,
    states: str,
    encoded: Encoded,
    size: int,
    projection: tuple[np.ndarray, np.ndarray],
) -> str:
    """Return W · pooled + b, where `pooled` is the concatenation of the means of all heads.

    size: D, the size of a state.
    """
    weight, bias = projection
    mean = graph.op("MatMul", weights, states)  # [B, heads, D]
    if encoded.embedded is None:
        flat = graph.reshape(mean, -1, weight.shape[1])
        return graph.product(flat, weight, bias, bound=encoded.bound)
    E = encoded.embedded.size
    embedded = graph.op("Transpose", encoded.embedded.plain(), perm=[1, 0, 2])
    words = graph.op("MatMul", weights, embedded)  # [B, heads, E]
    C = len(weight)
    by_head = weight.reshape(C, -1, size + E)  # [C, heads, D + E]
    of_states, of_words = by_head[:, :, :-E].reshape(C, -1), by_head[:, :, -E:].reshape(C, -1)
    return graph.op(
        "Add",
        graph.product(
            graph.reshape(mean, -1, of_states.shape[1]), of_states, bias, bound=encoded.bound
        ),
        graph.product(
            graph.reshape(words, -1, of_words.shape[1]), of_words, bound=encoded.embedded.bound
        ),
    )
