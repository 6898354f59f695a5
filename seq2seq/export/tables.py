"""Tables of products of embeddings, with one row for each token of the vocabulary.

A layer that reads an embedding x needs W x + b, which depends only on the token. A table holds this
product for every token, so that a step looks it up instead of multiplying. Tables are not stored in
the export. The graph `prepare` computes rows of the tables from the embeddings and W.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from seq2seq.export.graph import GraphBuilder, GraphPrecision, TensorType, quantize_rows


@dataclass
class Tables:
    """The tables (products of embeddings and weights) that the graphs of one model look up.

    precision: the precision of the stored embeddings.
    """

    precision: GraphPrecision
    inputs: list[TensorType] = field(default_factory=list)
    _products: list[tuple[np.ndarray, np.ndarray | None, np.ndarray | None]] = field(
        default_factory=list
    )

    def add(
        self, vectors: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None = None
    ) -> str:
        """Add a table, and return its name. The table is [T, W] float32 with T ≥ V.

        vectors: the embeddings, [V, E].
        weight: [W, E]. With None, the table contains the embeddings themselves.
        bias: [W].

        The table becomes an input of the graph that looks up its rows.
        """
        name = f"table.{len(self.inputs)}"
        width = vectors.shape[1] if weight is None else len(weight)
        self.inputs.append(TensorType(name, np.float32, ("T", width)))
        self._products.append((vectors, weight, bias))
        return name

    def model(self) -> onnx.ModelProto:
        """Return the graph `prepare`, which maps token ids [M] int64 to table rows [M, W]."""
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
        """Return the embeddings of the ids, [M, E], and for int8 the scale of each, [M, 1].

        The tables of labels and of tokens have different lengths. An id beyond the end of a table
        selects its last row.
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
        """Multiply vectors [M, E] by a weight [W, E]. Return [M, W].

        With int8, the sums are integers, so a row does not depend on the other rows.
        """
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
