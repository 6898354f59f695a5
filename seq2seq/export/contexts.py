"""The context of a decoder as ONNX nodes: a fixed context, the aligned context, or attention.

The layers that read the context c multiply it by a weight W. These layers are called readers. c is
a weighted mean of values. The export multiplies the values by W in advance, so a step only adds up
finished products:

    W c = W Σ_s α_s (V m_s + b) = Σ_s α_s (W V) m_s + W b

Shapes use these letters: B sources, K hypotheses of each source, N = B · K, S source length, D size
of an encoder state, C of c, A of an attention key, F the sum of the output sizes of all readers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from seq2seq.export.graph import GraphBuilder, TensorType, to_array


@dataclass(frozen=True)
class Encoded:
    """The outputs of an encoder, from which the context of a decoder is prepared.

    states: the name of the encoder states in the graph, [S · B, D], in order of time.
    bound: the largest possible |states|.
    summary: the name of the summaries of the sources, [B, C], from -1 to 1.
    lead: the name of the array that holds the shape (S, B).
    embedded: a function that multiplies the embeddings of the source by a weight. None if attention
        does not read the embeddings.
    """

    states: str
    bound: float
    summary: str
    lead: str
    embedded: Any

    def restore(self, graph: GraphBuilder, x: str, width: int) -> str:
        """Reshape x from [S · B, W] to [S, B, W]."""
        shape = graph.op("Concat", self.lead, graph.ids(width), axis=0)
        return graph.op("Reshape", x, shape)

    def project(
        self, graph: GraphBuilder, weight: np.ndarray, bias: np.ndarray | None = None
    ) -> str:
        """Multiply the states by a weight [W, D]. Return [S, B, W]."""
        x = graph.product(self.states, weight, bias, bound=self.bound)
        return self.restore(graph, x, len(weight))

    def project_values(
        self, graph: GraphBuilder, weight: np.ndarray, bias: np.ndarray | None = None
    ) -> str:
        """Multiply the values of attention by a weight [W, M]. Return [S, B, W]."""
        if self.embedded is None:
            return self.project(graph, weight, bias)
        size = weight.shape[1] - self.embedded.size
        states = self.project(graph, weight[:, :size], bias)
        return graph.op("Add", states, self.embedded(weight[:, size:]))


class ContextGraph(ABC):
    """The base class of the contexts (attention, fixed vector) in an ONNX graph.

    readers: the weights of each layer that reads the context vector c, [outputs, size of c].
    constant: the part of these layers' outputs that is the same for every source, [outputs].
    is_fed: whether recurrent layers read the context vector.
    """

    has_weights, is_fed = False, True

    def __init__(self, module: Any, readers: list[np.ndarray]) -> None:
        self.module = module
        self.readers = np.concatenate(readers)
        self.widths = [len(reader) for reader in readers]
        self.constant = np.zeros(len(self.readers), np.float32)

    @abstractmethod
    def prepare(self, graph: GraphBuilder, encoded: Encoded) -> dict[str, str]:
        """Add nodes to the graph `encode` that compute the arrays of `memory`. Return the names."""

    @abstractmethod
    def memory(self) -> list[TensorType]:
        """Return the types of the arrays, with one row per source, that a decoder step reads."""

    @abstractmethod
    def read(
        self, graph: GraphBuilder, query: str | None, memory: dict[str, str]
    ) -> tuple[list[str], str | None]:
        """Add nodes to the graph `step` that multiply the context vector c by the layers' weights.

        query: the decoder's queries, [N, H].

        Returns the product of c and the weight of each layer that reads c, [N, W], and the
        attention weights [B, K, S], or None for a context without weights.
        """


class SharedContextGraph(ContextGraph):
    """A context without a query: the aligned context if `by_position`, else the fixed context."""

    def __init__(self, module: Any, readers: list[np.ndarray], *, by_position: bool) -> None:
        super().__init__(module, readers)
        self.by_position = by_position

    def prepare(self, graph: GraphBuilder, encoded: Encoded) -> dict[str, str]:
        if not self.by_position:
            return {"share": graph.product(encoded.summary, self.readers, bound=1.0)}
        weight, bias = to_array(self.module.value.weight), to_array(self.module.value.bias)
        x = encoded.project(graph, self.readers @ weight, self.readers @ bias)
        return {"share": graph.op("Transpose", x, perm=[1, 0, 2])}

    def memory(self) -> list[TensorType]:
        shape = ("B", "S", sum(self.widths)) if self.by_position else ("B", sum(self.widths))
        return [TensorType("share", np.float32, shape)]

    def read(
        self, graph: GraphBuilder, query: str | None, memory: dict[str, str]
    ) -> tuple[list[str], str | None]:
        x = graph.op("Unsqueeze", memory["share"], graph.ids(1))
        return graph.split(x, self.widths), None


class AttentionGraph(ContextGraph):
    """Attention in an ONNX graph.

    kind: the kind of attention, as in the configuration.
    query_size: H, the size of the decoder's query.
    query_bound, value_bound: the largest absolute numbers in a query and in a projected value.
    """

    has_weights = True

    def __init__(
        self,
        module: Any,
        readers: list[np.ndarray],
        kind: str,
        *,
        query_size: int,
        query_bound: float,
        value_bound: float,
    ) -> None:
        super().__init__(module, readers)
        self.kind, self.query_size = kind, query_size
        self.query_bound, self.value_bound = query_bound, value_bound
        self.value, self.value_bias = to_array(module.value.weight), to_array(module.value.bias)
        self.heads = module.heads if kind == "multi-head" else 1
        if kind != "multi-head":
            self.constant = self.readers @ self.value_bias
            self.value = self.readers @ self.value

    def memory(self) -> list[TensorType]:
        A, W = self._key_size(), len(self.value)
        if self.kind == "multi-head":
            keys = ("B", self.heads, A // self.heads, "S")
            return [
                TensorType("keys", np.float32, keys),
                TensorType("values", np.float32, ("B", self.heads, "S", W // self.heads)),
            ]
        shape = ("B", "S", A) if self.kind == "additive" else ("B", A, "S")
        return [
            TensorType("keys", np.float32, shape),
            TensorType("values", np.float32, ("B", "S", W)),
        ]

    def _key_size(self) -> int:
        if self.kind == "dot":
            return self.query_size
        return int(self.module.key.weight.shape[0])

    def prepare(self, graph: GraphBuilder, encoded: Encoded) -> dict[str, str]:
        keys, values = self._keys(graph, encoded), encoded.project_values(graph, self.value)
        if self.kind == "multi-head":
            bias = graph.constant(self.value_bias)
            return {
                "keys": self._heads(graph, keys, [1, 2, 3, 0]),
                "values": self._heads(graph, graph.op("Add", values, bias), [1, 2, 0, 3]),
            }
        perm = [1, 0, 2] if self.kind == "additive" else [1, 2, 0]
        return {
            "keys": graph.op("Transpose", keys, perm=perm),
            "values": graph.op("Transpose", values, perm=[1, 0, 2]),
        }

    def _heads(self, graph: GraphBuilder, x: str, perm: list[int]) -> str:
        return graph.op("Transpose", graph.reshape(x, 0, 0, self.heads, -1), perm=perm)

    def _keys(self, graph: GraphBuilder, encoded: Encoded) -> str:
        """Return the keys, multiplied by the scale of the attention scores, [S, B, A]."""
        if self.kind == "dot":
            return encoded.restore(graph, encoded.states, self._key_size())
        weight, bias = to_array(self.module.key.weight), None
        if self.kind == "additive":
            bias = to_array(self.module.key.bias)
        if self.kind == "multi-head":
            weight = weight * (len(weight) // self.heads) ** -0.5
        keys = encoded.project(graph, weight, bias)
        if self.kind == "cosine":
            keys = graph.op("LpNormalization", keys, axis=-1, p=2)
            keys = graph.op("Mul", keys, graph.constant(to_array(self.module.sharpness)))
        return keys

    def read(
        self, graph: GraphBuilder, query: str | None, memory: dict[str, str]
    ) -> tuple[list[str], str | None]:
        assert query is not None
        scores = self._scores(graph, query, memory["keys"])  # [B, K, S] or [B, heads, K, S]
        axes = graph.ids(1) if self.heads == 1 else graph.ids(1, 2)
        scores = graph.op("Add", scores, graph.op("Unsqueeze", memory["mask"], axes))
        weights = graph.op("Softmax", scores, axis=-1)
        c = graph.op("MatMul", weights, memory["values"])
        if self.kind != "multi-head":
            shares = graph.split(graph.reshape(c, -1, len(self.value)), self.widths)
            return shares, weights
        c = graph.op("Transpose", c, perm=[0, 2, 1, 3])  # [B, K, heads, C / heads]
        c = graph.reshape(c, -1, len(self.value))  # [N, C]
        both = graph.product(c, self.readers, bound=self.value_bound)
        return graph.split(both, self.widths), graph.op("ReduceMean", weights, axes=[1], keepdims=0)

    def _scores(self, graph: GraphBuilder, query: str, keys: str) -> str:
        batch = graph.op("Shape", keys, start=0, end=1)

        def by_source(x: str, *shape: int) -> str:
            return graph.op("Reshape", x, graph.op("Concat", batch, graph.ids(*shape), axis=0))

        size = self._key_size()
        match self.kind:
            case "additive":
                q = graph.product(query, to_array(self.module.query.weight), bound=self.query_bound)
                q = by_source(q, -1, 1, size)
                joined = graph.op(
                    "Tanh", graph.op("Add", q, graph.op("Unsqueeze", keys, graph.ids(1)))
                )
                flat = graph.reshape(joined, -1, size)  # [B · K · S, A]
                scores = graph.product(flat, to_array(self.module.score.weight), bound=1.0)
                shape = graph.op("Shape", joined, start=0, end=3)
                return graph.op("Reshape", scores, shape)
            case "multi-head":
                weight, bias = to_array(self.module.query.weight), to_array(self.module.query.bias)
                q = graph.product(query, weight, bias, bound=self.query_bound)
                q = by_source(q, -1, self.heads, size // self.heads)
                q = graph.op("Transpose", q, perm=[0, 2, 1, 3])
                return graph.op("MatMul", q, keys)
            case "cosine":
                query = graph.op("LpNormalization", query, axis=-1, p=2)
        return graph.op("MatMul", by_source(query, -1, size), keys)
