"""A tagger or a classifier as ONNX nodes. It reads texts of one length and scores all labels.

Shapes use these letters: B texts, S subwords, W words, H hidden units, D size of a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from seq2seq.export.encoder_graph import EmbeddedSource, encode_text, run_stack
from seq2seq.export.graph import GraphBuilder, TensorType, to_array
from seq2seq.export.ranges import Ranges
from seq2seq.export.tables import Tables

if TYPE_CHECKING:
    from seq2seq.models.folder import Model

_TOKENS = TensorType("tokens", np.int64, ("B", "S"))


def label_graph(model: Model, tables: Tables, ranges: Ranges) -> onnx.ModelProto:
    """Return the graph `label`, which computes log-probabilities [B, labels] of tokens [B, S].

    The graph of a tagger computes log-probabilities [B, W, labels]. Its further inputs are `starts`
    and `ends` [B, W], the positions of the first and the last subword of each word.
    """
    graph, network = GraphBuilder(tables.precision), model.network
    labels = len(model.codec.require_labels())
    weight, bias = to_array(network.output.weight), to_array(network.output.bias)
    inputs = [_TOKENS]
    shape: tuple[int | str, ...] = ("B", labels)
    if model.config.task.labels_each_word:
        inputs += [TensorType(name, np.int64, ("B", "W")) for name in ("starts", "ends")]
        shape = ("B", "W", labels)
        x, lead, bound = _words(graph, tables, network, ranges)
        logits = graph.product(x, weight, bias, bound=bound)  # [W · B, labels]
        whole = graph.op("Concat", lead, graph.ids(labels), axis=0)
        logits = graph.op("Transpose", graph.op("Reshape", logits, whole), perm=[1, 0, 2])
    else:
        encoder: Any = network.encoder
        encoded = encode_text(graph, tables, encoder, "tokens", ranges)
        logits = graph.product(encoded.summary, weight, bias, bound=1.0)
    graph.rename(graph.op("LogSoftmax", logits, axis=-1), "log_probabilities")
    output = TensorType("log_probabilities", np.float32, shape)
    return graph.model("label", [*inputs, *tables.inputs], [output])


def _words(
    graph: GraphBuilder, tables: Tables, network: Any, ranges: Ranges
) -> tuple[str, str, float]:
    tokens = graph.op("Transpose", "tokens", perm=[1, 0])
    vectors = to_array(network.embedding.weight)
    embedded = EmbeddedSource(graph, tables, vectors, tokens)
    pieces = run_stack(graph, network.pieces, embedded, graph.op("Shape", tokens), ranges)
    sides = graph.split(pieces, [network.pieces.output_size // 2] * 2)  # [S · B, H] each
    batch = graph.op("Shape", "tokens", start=0, end=1)
    column = graph.op(
        "Range",
        graph.constant(np.int64(0)),
        graph.op("Squeeze", batch, graph.ids(0)),
        graph.constant(np.int64(1)),
    )
    rows = []
    for name in ("ends", "starts"):  # from the left, the last piece; from the right, the first
        at = graph.op("Mul", graph.op("Transpose", name, perm=[1, 0]), batch)  # [W, B]
        rows.append(graph.op("Add", at, column))
    words = graph.op(
        "Concat",
        *(graph.op("Gather", side, row) for side, row in zip(sides, rows, strict=True)),
        axis=-1,
    )  # [W, B, 2 H]
    lead = graph.op("Shape", rows[0])
    flat = graph.reshape(words, -1, network.pieces.output_size)
    bound = ranges.of_stack(network.pieces)[-1]

    def first(weight: np.ndarray, bias: np.ndarray) -> str:
        y = graph.product(flat, weight, bias, bound=bound)
        shape = graph.op("Concat", lead, graph.ids(len(weight)), axis=0)
        return graph.op("Reshape", y, shape)

    states = run_stack(graph, network.words, first, lead, ranges)
    return states, lead, ranges.of_stack(network.words)[-1]
