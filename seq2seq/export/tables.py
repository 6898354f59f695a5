"""Products of embeddings, computed once when an export is opened.

A layer that reads an embedding x needs W x + b, which depends on the token alone. A table holds
it for every token of the vocabulary, so that a step looks it up instead of multiplying. Tables
are not stored: the graph `prepare` computes them from the embeddings and W.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from seq2seq.export.graph import GraphBuilder, Precision, TensorType, quantize_rows


@dataclass
class Tables:
    """Collects the tables of all graphs of one model. precision: of the stored embeddings."""

    precision: Precision
    inputs: list[TensorType] = field(default_factory=list)
    _products: list[tuple[np.ndarray, np.ndarray | None, np.ndarray | None]] = field(
        default_factory=list
    )

    def add(
        self, vectors: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None = None
    ) -> str:
        """vectors [V, E], weight [W, E] (None: the vectors themselves), bias [W] → the name of the
        table [V, W] float32, an input of the graph that looks it up."""
        name = f"table.{len(self.inputs)}"
        width = vectors.shape[1] if weight is None else len(weight)
        self.inputs.append(TensorType(name, np.float32, (len(vectors), width)))
        self._products.append((vectors, weight, bias))
        return name

    def model(self) -> onnx.ModelProto:
        """Return the graph `prepare`: no inputs, one output for each table."""
        graph = GraphBuilder(self.precision)
        stored: dict[tuple[int, ...], str] = {}
        for table, (vectors, weight, bias) in zip(self.inputs, self._products, strict=True):
            key = (vectors.ctypes.data, *vectors.shape)  # the same weights, stored once
            if key not in stored:
                stored[key] = self._vectors(graph, vectors)
            product = stored[key]
            if weight is not None:
                product = graph.op("MatMul", product, self._matrix(graph, weight))
            if bias is not None:
                product = graph.op("Add", product, graph.constant(bias.astype(np.float32)))
            graph.rename(product, table.name)
        return graph.model("prepare", [], self.inputs)

    def _vectors(self, graph: GraphBuilder, vectors: np.ndarray) -> str:
        if self.precision == "fp32":
            return graph.constant(vectors, "embedding")
        steps, scales = quantize_rows(vectors, 127)
        whole = graph.op("Cast", graph.constant(steps, "embedding"), to=onnx.TensorProto.FLOAT)
        return graph.op("Mul", whole, graph.constant(scales[:, None], "scale"))

    def _matrix(self, graph: GraphBuilder, weight: np.ndarray) -> str:
        if self.precision == "fp32":
            return graph.constant(weight.T, "weight")
        steps, scales = quantize_rows(weight, 127)
        whole = graph.op("Cast", graph.constant(steps.T, "weight"), to=onnx.TensorProto.FLOAT)
        return graph.op("Mul", whole, graph.constant(scales[None], "scale"))
