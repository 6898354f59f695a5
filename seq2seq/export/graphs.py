"""The graphs of each task, and the names that a program needs to run them.

`prepare` computes tables of products of embeddings. `encode` reads sources of one length. `step`
predicts the next token of each row. A tagger or a classifier has `label` instead of `encode` and
`step`. docs/export.md describes the graphs for other programs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from seq2seq.export.contexts import Encoded
from seq2seq.export.decoder_graph import DecoderGraph
from seq2seq.export.encoder_graph import encode_text
from seq2seq.export.graph import GraphBuilder, GraphPrecision, TensorType, to_array
from seq2seq.export.mixture_graphs import CopyingDecoderGraph, MonotonicDecoderGraph
from seq2seq.export.ranges import Ranges
from seq2seq.export.tables import Tables
from seq2seq.export.transducer_graphs import TransducerDecoderGraph

if TYPE_CHECKING:
    from seq2seq.models.folder import Model

_OF_CONTEXT: dict[str, type[DecoderGraph]] = {
    "monotonic": MonotonicDecoderGraph,
    "transducer": TransducerDecoderGraph,
}
_TOKENS = TensorType("tokens", np.int64, ("B", "S"))
_FEATURES = TensorType("features", np.int64, ("B", "S", "f"))
_LAST = TensorType("tokens", np.int64, ("N",))
_MASK = TensorType("mask", np.float32, ("B", "S"))


@dataclass(frozen=True)
class GraphSet:
    """The graphs of one model.

    graphs: the graphs by name.
    rows: the names of the state arrays that have one row per hypothesis.
    memory: the arrays that have one row per source, by name. The value of an entry is the number of
        the axis whose size is the source length, or None if the array has no such axis.
    """

    graphs: dict[str, onnx.ModelProto]
    rows: list[str]
    memory: dict[str, int | None]


def build_graphs(
    model: Model, precision: GraphPrecision, ranges: Ranges, *, frequent: np.ndarray | None = None
) -> GraphSet:
    """Build the graphs of a model.

    frequent: for a shortlist, the tokens that every source allows. A step then computes the
        log-probabilities of these tokens and of the rare tokens that a program passes.
    """
    tables = Tables(precision)
    if model.config.task.has_target_text:
        return _writing_graphs(model, tables, ranges, frequent)
    from seq2seq.export.label_graph import label_graph

    graph = label_graph(model, tables, ranges)
    return GraphSet({"label": graph, "prepare": tables.model()}, [], {})


def _writing_graphs(
    model: Model, tables: Tables, ranges: Ranges, frequent: np.ndarray | None
) -> GraphSet:
    network: Any = model.network
    kind = model.config.context.kind
    of_kind = CopyingDecoderGraph if model.codec.copies else DecoderGraph
    of_kind = _OF_CONTEXT.get(kind, of_kind)
    decoder = of_kind(network.decoder, kind, ranges)
    graphs = {}
    memory: list[TensorType] = []
    if decoder.context is not None:
        memory = decoder.context.memory()
        graphs["encode"] = _encode_graph(model, decoder, tables, ranges)
    graphs["step"] = _step_graph(decoder, tables, frequent)
    if frequent is not None:
        graphs["candidates"] = decoder.candidates(tables.precision)
    graphs["prepare"] = tables.model()
    axes = {value.name: value.shape.index("S") if "S" in value.shape else None for value in memory}
    return GraphSet(graphs, [state.name for state in decoder.states], axes)


def _encode_graph(
    model: Model, decoder: DecoderGraph, tables: Tables, ranges: Ranges
) -> onnx.ModelProto:
    graph, network = GraphBuilder(tables.precision), model.network
    before, context = len(tables.inputs), decoder.context
    assert context is not None
    encoded = _encode(graph, model, network, tables, ranges)
    for value, state in zip(decoder.start(graph, encoded), decoder.states, strict=True):
        graph.rename(value, state.name)
    for name, value in context.prepare(graph, encoded).items():
        graph.rename(value, name)
    states = [
        TensorType(state.name, np.float32, ("B", *state.shape[1:])) for state in decoder.states
    ]
    features = model.codec.features
    inputs = [_TOKENS, _FEATURES] if features is not None and features.per_word else [_TOKENS]
    return graph.model("encode", [*inputs, *tables.inputs[before:]], [*states, *context.memory()])


def _encode(
    graph: GraphBuilder, model: Model, network: Any, tables: Tables, ranges: Ranges
) -> Encoded:
    kind = model.config.encoder.kind
    if kind == "recurrent":
        return encode_text(graph, tables, network.encoder, "tokens", ranges)
    encoder = network.encoder
    weight, bias = to_array(encoder.project.weight), to_array(encoder.project.bias)
    if kind == "label":
        first = graph.op("Gather", "tokens", graph.constant(np.int64(0)), axis=1)
        table = tables.add(to_array(encoder.embedding.weight), weight, bias)
        return Encoded("", 1.0, graph.op("Tanh", graph.op("Gather", table, first)), "", None)
    # One number after the other, so that no row's sum depends on the number of rows.
    x = graph.op("Cast", graph.op("Transpose", "tokens", perm=[1, 0]), to=1)  # [S, B]
    planes = graph.constant(to_array(encoder.hidden.bias)[None])
    for number, column in enumerate(to_array(encoder.hidden.weight).T * np.float32(encoder.unit)):
        values = graph.op("Gather", x, graph.constant(np.array([number])), axis=0)  # [1, B]
        values = graph.op("Transpose", values, perm=[1, 0])
        planes = graph.op("Add", planes, graph.op("Mul", values, graph.constant(column[None])))
    summary = graph.product(graph.op("Tanh", planes), weight, bias, bound=1.0)
    return Encoded("", 1.0, graph.op("Tanh", summary), "", None)


def _step_graph(
    decoder: DecoderGraph, tables: Tables, frequent: np.ndarray | None
) -> onnx.ModelProto:
    graph, before = GraphBuilder(tables.precision), len(tables.inputs)
    memory, attends = _step_memory(decoder)
    names = {value.name: value.name for value in memory}
    readout, after, weights = decoder.step(graph, tables, "tokens", names)
    columns = decoder.columns
    if frequent is None:
        log_p = decoder.log_probabilities(graph, readout, weights)
    else:
        log_p = decoder.candidate_log_probabilities(graph, readout, frequent)
        memory, columns = [*memory, *decoder.candidate_types(tables.precision)], "m + n"
    graph.rename(log_p, "log_probabilities")
    outputs = [TensorType("log_probabilities", np.float32, ("N", columns))]
    for value, state in zip(after, decoder.states, strict=True):
        graph.rename(value, f"next.{state.name}")
        outputs.append(TensorType(f"next.{state.name}", np.float32, state.shape))
    if attends:
        assert weights is not None
        graph.rename(weights, "weights")
        outputs.append(TensorType("weights", np.float32, ("B", "K", "S")))
    inputs = [_LAST, *decoder.states, *memory, *tables.inputs[before:]]
    return graph.model("step", inputs, outputs)


def _step_memory(decoder: DecoderGraph) -> tuple[list[TensorType], bool]:
    """Return the inputs of a step that have one row per source, and whether there is attention."""
    if decoder.context is None:
        return [], False
    memory = decoder.context.memory()
    if decoder.context.has_weights:
        return [*memory, _MASK, *decoder.added], True
    # Of a share for each position, a step reads that of its own.
    return [
        TensorType(value.name, value.dtype, tuple(axis for axis in value.shape if axis != "S"))
        for value in memory
    ], False
