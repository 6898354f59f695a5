"""A builder of ONNX graphs: nodes, constants, and matrix products in fp32 or int8.

An int8 product converts its input to unsigned 8-bit integers with a fixed scale: zero becomes 128,
and the largest absolute input (`bound`) is 127 steps away from it. The weights have seven bits and
one scale per output channel. They do not have eight bits, because processors without VNNI add two
products in 16 bits, which would then saturate. The sums are integers, so a row of the result does
not depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

GraphPrecision = Literal["int8", "fp32"]

OPSET = 17
_IR_VERSION = 9
_MICROSOFT = "com.microsoft"
STEPS = 127  # of a bound, on each side of zero
ZERO = np.uint8(128)
WEIGHT_STEPS = 63


@dataclass(frozen=True)
class TensorType:
    """The type of an input or output of a graph.

    name: the name by which a program refers to it.
    dtype: a NumPy dtype.
    shape: a number for each axis, or a letter for an axis of variable size.
    """

    name: str
    dtype: Any
    shape: tuple[int | str, ...]

    def to_proto(self) -> onnx.ValueInfoProto:
        """Return this type in the form that ONNX uses."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(self.dtype))
        return helper.make_tensor_value_info(self.name, kind, list(self.shape))


@dataclass
class GraphBuilder:
    """Collects the nodes and constants of one graph. Methods take and return names of values.

    precision: the precision of matrix products.
    prefix: the beginning of all names, which keeps the names in the body of a loop distinct.
    """

    precision: GraphPrecision
    prefix: str = ""
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    _quantized: dict[tuple[str, float], str] = field(default_factory=dict)
    _renamed: set[str] = field(default_factory=set)
    _count: int = 0

    def _name(self, hint: str) -> str:
        self._count += 1
        return f"{self.prefix}{hint}.{self._count}"

    def constant(self, value: Any, hint: str = "constant") -> str:
        """Store an array in the graph, and return its name."""
        name = self._name(hint)
        self.constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def ids(self, *values: int) -> str:
        """Add a vector of int64 numbers, such as a shape or axes. Return its name."""
        return self.constant(np.array(values, np.int64), "ids")

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, and return the name of the output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(
        self, kind: str, *inputs: str, outputs: int, domain: str = "", **attributes: Any
    ) -> list[str]:
        """Add a node with several outputs, and return their names."""
        names = [self._name(kind.lower()) for _ in range(outputs)]
        node = helper.make_node(kind, list(inputs), names, domain=domain, **attributes)
        self.nodes.append(node)
        return names

    def rename(self, value: str, name: str) -> None:
        """Give a value the name under which the graph returns it."""
        if any(value in node.output for node in self.nodes) and value not in self._renamed:
            self._renamed.add(name)
            for node in self.nodes:
                for names in (node.input, node.output):
                    names[:] = [name if each == value else each for each in names]
            return
        self.nodes.append(helper.make_node("Identity", [value], [name]))

    def split(self, x: str, sizes: Sequence[int], axis: int = -1) -> list[str]:
        """Split x along an axis into parts of the given sizes."""
        if len(sizes) == 1:
            return [x]
        return self.ops("Split", x, self.ids(*sizes), outputs=len(sizes), axis=axis)

    def total(self, *terms: str | None) -> str:
        """Add up those of the given values that are not None."""
        present = [term for term in terms if term is not None]
        result = present[0]
        for term in present[1:]:
            result = self.op("Add", result, term)
        return result

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape x. As in ONNX, 0 keeps the size of an axis, and -1 stands for the rest."""
        return self.op("Reshape", x, self.ids(*shape))

    def layer_norm(self, x: str, module: Any) -> str:
        """Normalise the last axis of x as `module`, a torch.nn.LayerNorm, does."""
        scale, shift = (self.constant(to_array(part)) for part in (module.weight, module.bias))
        return self.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=float(module.eps))

    def product(
        self, x: str, weight: np.ndarray, bias: np.ndarray | None = None, *, bound: float
    ) -> str:
        """Add the matrix product x · weightᵀ + bias, and return its name. It is [N, O] float32.

        x: [N, I].
        weight: [O, I].
        bias: [O].
        bound: the largest expected |x|. With int8, larger values are clipped to the bound.
        """
        if self.precision == "fp32":
            matrix = self.constant(weight.T.astype(np.float32), "weight")
            if bias is None:
                return self.op("MatMul", x, matrix)
            return self.op("Gemm", x, matrix, self.constant(bias.astype(np.float32), "bias"))
        quantized = self.quantize(x, bound)
        return self.quantized_product(quantized, weight, bias, step=bound / STEPS)

    def quantized_product(
        self, x: str, weight: np.ndarray, bias: np.ndarray | None = None, *, step: float
    ) -> str:
        """Add a product of 8-bit integers, and return the name of the result, [N, O] float32.

        x: [N, I], unsigned 8-bit integers. 128 stands for zero.
        weight: [O, I].
        bias: [O].
        step: the value that one step of x stands for.
        """
        names = []
        for part, array in quantized_parts(weight, bias, step).items():
            names.append(self.constant(array.T if part == "weight" else array, part))
        matrix, *rest = names
        first = [x, self.constant(np.float32(step), "scale"), self.constant(ZERO, "zero"), matrix]
        return self.ops("QGemm", *first, *rest, outputs=1, domain=_MICROSOFT)[0]

    def quantize(self, x: str, bound: float) -> str:
        """Convert x to unsigned 8-bit integers. The result is cached.

        Zero becomes 128, and one step stands for bound / 127.
        """
        key = x, bound
        if key not in self._quantized:
            scale = self.constant(np.float32(bound / STEPS), "scale")
            zero = self.constant(ZERO, "zero")
            self._quantized[key] = self.op("QuantizeLinear", x, scale, zero)
        return self._quantized[key]

    def body(
        self, inputs: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]]
    ) -> onnx.GraphProto:
        """Return this graph as the body of a loop.

        inputs, outputs: the names of float32 values, and their numbers of axes.
        """

        def info(name: str, axes: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * axes)

        return helper.make_graph(
            self.nodes,
            f"{self.prefix}body",
            [info(*value) for value in inputs],
            [info(*value) for value in outputs],
            self.constants,
        )

    def model(
        self, name: str, inputs: Sequence[TensorType], outputs: Sequence[TensorType]
    ) -> onnx.ModelProto:
        """Return this graph as a complete ONNX model."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [value.to_proto() for value in inputs],
            [value.to_proto() for value in outputs],
            self.constants,
        )
        return helper.make_model(
            graph,
            producer_name="seq2seq",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_MICROSOFT, 1)],
        )


def to_array(tensor: Any) -> np.ndarray:
    """Return a torch tensor as a float32 array."""
    array: np.ndarray = tensor.detach().cpu().float().numpy()
    return array


def weight_and_bias(module: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight and the bias of a torch.nn.Linear as float32 arrays."""
    return to_array(module.weight), to_array(module.bias)


def quantized_parts(
    weight: np.ndarray, bias: np.ndarray | None, step: float
) -> dict[str, np.ndarray]:
    """Quantise the weight and the bias of a product of 8-bit integers.

    weight: [O, I].
    bias: [O], or None.
    step: the difference between two neighbouring values of the quantised input.

    Returns the arrays by name: the weight, int8 [O, I]; its scale, float32 [O]; its zero point
    ("zero"), int8 [O]; and the bias, int32 [O].
    """
    weights, scales = quantize_rows(weight, WEIGHT_STEPS)
    parts = {"weight": weights, "scale": scales, "zero": np.zeros(len(scales), np.int8)}
    if bias is not None:
        whole = np.rint(bias / (scales.astype(np.float64) * step))
        parts["bias"] = whole.clip(-(2**30), 2**30).astype(np.int32)
    return parts


def quantize_rows(weight: np.ndarray, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Quantise each row of a weight [O, I] with its own scale.

    Returns integers from -steps to steps, int8 [O, I], and the scales, float32 [O].
    """
    largest = np.abs(weight).max(axis=1)
    scales = np.where(largest > 0, largest / steps, 1.0).astype(np.float32)
    return np.rint(weight / scales[:, None]).clip(-steps, steps).astype(np.int8), scales
