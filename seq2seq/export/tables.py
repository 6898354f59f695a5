"""Products of embeddings, computed once per token of the vocabulary.

A layer that reads an embedding x needs W x + b, which depends on the token alone. A table holds
it for every token, so that a step looks it up instead of multiplying. Tables are not stored: the
graph `prepare` computes the rows of given tokens from the embeddings and W.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from seq2seq.export.graph import GraphBuilder, GraphPrecision, TensorType, quantize_rows


@dataclass
class Tables:
    """Collects the tables of all graphs of one model. precision: of the stored embeddings."""

    precision: GraphPrecision
    inputs: list[TensorType] = field(default_factory=list)
    _products: list[tuple[np.ndarray, np.ndarray | None, np.ndarray | None]] = field(
        default_factory=list
    )

    def add(
        self, vectors: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None = None
    ) -> str:
        """vectors [V, E], weight [W, E] (None: the vectors themselves), bias [W] → the name of the
        table [T, W] float32, an input of the graph that looks it up; T is at least V."""
        name = f"table.{len(self.inputs)}"
        width = vectors.shape[1] if weight is None else len(weight)
        self.inputs.append(TensorType(name, np.float32, ("T", width)))
        self._products.append((vectors, weight, bias))
        return name

    def model(self) -> onnx.ModelProto:
        """Return the graph `prepare`: ids [M] int64 → the rows [M, W] of each table."""
        graph = GraphBuilder(self.precision)
        found: dict[tuple[int, ...], tuple[str, str]] = {}
        for table, (vectors, weight, bias) in zip(self.inputs, self._products, strict=True):
            key = (vectors.ctypes.data, *vectors.shape)  # the same weights, stored once
            if key not in found:
                found[key] = self._look_up(graph, vectors)
            rows = self._multiply(graph, *found[key], weight)
            if bias is not None:
                rows = graph.op("Add", rows, graph.constant(bias.astype(np.float32)))
            graph.rename(rows, table.name)
        outputs = [
            TensorType(table.name, np.float32, ("M", table.shape[1])) for table in self.inputs
        ]
        return graph.model("prepare", [TensorType("ids", np.int64, ("M",))], outputs)

    def _look_up(self, graph: GraphBuilder, vectors: np.ndarray) -> tuple[str, str]:
        """Return the embeddings of the ids [M, E] and, for int8, the scale of each [M, 1].

        Labels and tokens have tables of different lengths: ids beyond a table take its last row.
        """
        last = graph.constant(np.int64(len(vectors) - 1))
        ids = graph.op("Min", "ids", last)
        if self.precision == "fp32":
            return graph.op("Gather", graph.constant(vectors, "embedding"), ids), ""
        steps, scales = quantize_rows(vectors, 127)
        shifted = graph.constant((steps.astype(np.int16) + 128).astype(np.uint8), "embedding")
        scale = graph.op("Gather", graph.constant(scales[:, None], "scale"), ids)
        return graph.op("Gather", shifted, ids), scale

    def _multiply(
        self, graph: GraphBuilder, vectors: str, scale: str, weight: np.ndarray | None
    ) -> str:
        """vectors [M, E] times weight [W, E] → [M, W]; in integers for int8, so that a row does not
        depend on the others."""
        if self.precision == "fp32":
            if weight is None:
                return graph.op("Identity", vectors)
            return graph.product(vectors, weight, bound=1.0)
        if weight is None:
            whole = graph.op("Cast", vectors, to=onnx.TensorProto.FLOAT)
            product = graph.op("Sub", whole, graph.constant(np.float32(128)))
        else:
            product = graph.quantized_product(vectors, weight, step=1.0)
        return graph.op("Mul", product, scale)
