"""Read and write protocol buffer messages without a library, because the formats are simple.

A message is a series of fields. Each field has a number and a value: an integer, or bytes that hold
text, another message or a number of fixed size.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_VARINT_BITS = 64


def message_fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field of a message, in order.

    Raises ValueError if the message is damaged, or if it contains a group, which is an obsolete
    kind of field. So no field that another program would find is missing here.
    """
    at, size = 0, len(message)
    while at < size:
        key, at = _read_varint(message, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise ValueError("a field of the Protocol Buffers data has no valid number")
        if wire == _VARINT:
            value, at = _read_varint(message, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _read_varint(message, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(
                f"a field of the Protocol Buffers data has the unknown wire type {wire}"
            )
        if length > size - at:
            raise ValueError("a field of the Protocol Buffers data is incomplete")
        yield number, message[at : at + length]
        at += length


def write_field(number: int, value: int | bytes) -> bytes:
    """Return one field of a message."""
    if isinstance(value, int):
        return _write_varint(number << 3) + _write_varint(value)
    return _write_varint(number << 3 | _BYTES) + _write_varint(len(value)) + value


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the variable-length integer that begins at `at`, and the position after its end."""
    value = shift = 0
    while at < len(message) and shift < _VARINT_BITS:
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value & (1 << _VARINT_BITS) - 1, at
    raise ValueError("a number in the Protocol Buffers data is incomplete")


def _write_varint(value: int) -> bytes:
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])
