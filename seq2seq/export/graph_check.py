"""Check the graph of an export, which a stranger may have written, before ONNX Runtime reads it.

ONNX Runtime would read other files that a graph names, and would compute constants of any size. So
only the operators that seq2seq writes are permitted, all constants are inside the file, and the
numbers in shapes are bounded.
"""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from seq2seq.checked_files import file_size
from seq2seq.errors import UserError, file_error
from seq2seq.text.protobuf import message_fields

_OPERATORS = frozenset(
    re.findall(
        r"\w+",
        "Add Cast Concat ConstantOfShape Equal Exp Expand Gather GatherND Gemm Identity "
        "LayerNormalization Less "
        "LogSoftmax LpNormalization MatMul MatMulInteger Max Min Mul QGemm QuantizeLinear Range "
        "Reciprocal ReduceLogSum ReduceMax ReduceMean Relu Reshape Scan ScatterElements Shape "
        "Sigmoid Slice Softmax Split Trilu "
        "Squeeze Sub Tanh Transpose Unsqueeze Where",
    )
)
_DOMAINS = ("", "com.microsoft")
_NODES = 100_000
_DEPTH = 3  # of graphs inside each other
_SIZE = 1 << 20  # the largest number in a shape
_ELEMENTS = 1 << 27  # the largest product of the numbers of a shape
_SHAPE_LENGTH = 8  # longer arrays of integers are tables, not shapes
# Field numbers of onnx.proto, by message.
_MODEL_GRAPH, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 20, 25
_NODE, _INITIALIZER, _SPARSE = 1, 5, 15
_INPUT, _OPERATOR, _ATTRIBUTE, _DOMAIN = 1, 4, 5, 7
_TENSOR, _SUBGRAPH, _TENSORS, _SUBGRAPHS = 5, 6, 10, 11
_DIMENSIONS, _TYPE, _NAME, _RAW, _EXTERNAL, _LOCATION = 1, 2, 8, 9, 13, 14
_ITEM_BYTES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 16: 2}
_INT64 = 7

_Message = memoryview


def check_graph(path: Path) -> None:
    """Raise UserError unless a file is an ONNX graph as `seq2seq export` writes it."""
    try:
        if not file_size(path):
            raise ValueError("the file is empty")
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        _check_model(memoryview(data))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: export the model again") from None
    except OSError as error:
        raise file_error("read", path, error) from None
    except ValueError as error:
        raise UserError(
            f"{path}: the file is not an ONNX graph that seq2seq wrote ({error}); export the model "
            "again"
        ) from None


def _check_model(message: _Message) -> None:
    for field, value in message_fields(message):
        if field in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise ValueError("the file defines its own functions or training steps")
        if field == _MODEL_GRAPH:
            _check_subgraph(_as_message(value), 1)


def _check_subgraph(message: _Message, depth: int) -> None:
    if depth > _DEPTH:
        raise ValueError("the graphs in the file are nested too deeply")
    nodes, sizes = 0, set(_sizes_of_splits(message))
    for field, value in message_fields(message):
        if field == _SPARSE:
            raise ValueError("the graph has a sparse constant")
        if field == _INITIALIZER:
            _check_tensor(_as_message(value), sizes)
        elif field == _NODE:
            nodes += 1
            if nodes > _NODES:
                raise ValueError(f"the graph has more than {_NODES:,} nodes")
            _check_node(_as_message(value), depth)


def _sizes_of_splits(message: _Message) -> Iterator[str]:
    """Yield the names of the constants that hold the sizes of parts into which arrays are split.

    The limit for the shape of an array does not apply to these constants.
    """
    for field, value in message_fields(message):
        if field == _NODE:
            parts = list(message_fields(_as_message(value)))
            inputs = [_as_text(part) for kind, part in parts if kind == _INPUT]
            if (_OPERATOR, "Split") in [
                (kind, _as_text(part)) for kind, part in parts if kind == _OPERATOR
            ]:
                yield from inputs[1:2]


def _check_node(message: _Message, depth: int) -> None:
    for field, value in message_fields(message):
        if field == _OPERATOR and (operator := _as_text(value)) not in _OPERATORS:
            raise ValueError(f"the graph uses the unknown operator {operator[:40]!r}")
        if field == _DOMAIN and _as_text(value) not in _DOMAINS:
            raise ValueError(f"the graph uses the unknown operator set {_as_text(value)[:40]!r}")
        if field == _ATTRIBUTE:
            for kind, part in message_fields(_as_message(value)):
                if kind in (_TENSOR, _TENSORS):
                    _check_tensor(_as_message(part))
                elif kind in (_SUBGRAPH, _SUBGRAPHS):
                    _check_subgraph(_as_message(part), depth + 1)


def _check_tensor(message: _Message, sizes: Collection[str] = ()) -> None:
    """Raise ValueError if the data of a constant is not completely in the file.

    Also raise ValueError if the constant may be a tensor shape and its numbers are too large.

    sizes: the names of constants that are not shapes.
    """
    shape: list[int] = []
    content, kind, name = memoryview(b""), 0, ""
    for field, value in message_fields(message):
        if field == _DIMENSIONS:
            shape += [value] if isinstance(value, int) else _packed(value)
        elif field == _TYPE and isinstance(value, int):
            kind = value
        elif field == _NAME:
            name = _as_text(value)
        elif field == _RAW:
            content = _as_message(value)
        elif field == _EXTERNAL or (field == _LOCATION and value != 0):
            raise ValueError(f"the constant {name[:40]!r} is stored in another file")
    if kind not in _ITEM_BYTES or len(content) != math.prod(shape) * _ITEM_BYTES[kind]:
        raise ValueError(f"the constant {name[:40]!r} is incomplete or has an unknown data type")
    if kind == _INT64 and len(content) <= 8 * _SHAPE_LENGTH:
        numbers = [abs(int(number)) for number in np.frombuffer(content, "<i8")]
        elements = 0 if name in sizes else math.prod(filter(None, numbers))
        if max(numbers, default=0) > _SIZE or elements > _ELEMENTS:
            raise ValueError(f"the shape in the constant {name[:40]!r} is too large")


def _packed(message: _Message) -> Iterator[int]:
    """Yield the integers of a packed repeated field of a protocol buffer message."""
    data = bytes(message)
    value = shift = 0
    for byte in data:
        value, shift = value | (byte & 127) << shift, shift + 7
        if byte < 128:
            yield value
            value = shift = 0


def _as_message(value: int | _Message) -> _Message:
    if isinstance(value, int):
        raise ValueError("a field of the ONNX file has the wrong type")
    return value


def _as_text(value: int | _Message) -> str:
    return str(_as_message(value), "utf-8")
