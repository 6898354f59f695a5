"""Read the settings in a SentencePiece model that its Python interface does not return.

A SentencePiece model is a protocol buffer (`sentencepiece_model.proto`). Its settings are a few
fields, so this module reads them itself and needs no protobuf library.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seq2seq.config.schema import Normalization
from seq2seq.text.case_marks import MARKS

_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
# Field numbers of sentencepiece_model.proto.
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3
_TEXT, _TYPE = 1, 3  # of a piece
_USER_DEFINED = 4  # the type of a piece
_MODEL_TYPE = 3  # of the trainer
_RULE, _DUMMY_PREFIX, _COLLAPSE = 1, 3, 4  # of the normalizer


@dataclass(frozen=True)
class VocabularySettings:
    """The settings of a SentencePiece model.

    kind: "unigram", "bpe", "word" or "char".
    normalization: How SentencePiece normalises text. None for a rule that seq2seq does not use.
    symbols: The symbols of the user (`tokenizer.symbols`).
    case_marked: Whether the model expects text whose capitals are marks (`tokenizer.case`).
    """

    kind: str
    normalization: Normalization | None
    symbols: tuple[str, ...]
    case_marked: bool


def read_settings(model: bytes) -> VocabularySettings:
    """Return the settings of a SentencePiece model, given the bytes of a valid model file."""
    kind, rule, has_prefix, collapses = 1, "", True, True  # the defaults of the format
    defined = []
    for field, content in _fields(model):
        if not isinstance(content, bytes):
            continue
        if field == _PIECE:
            piece = dict(_fields(content))
            if piece.get(_TYPE) == _USER_DEFINED:
                defined.append(_as_text(piece.get(_TEXT)))
        elif field == _TRAINER:
            number = dict(_fields(content)).get(_MODEL_TYPE, 1)
            kind = number if isinstance(number, int) else 1
        elif field == _NORMALIZER:
            spec = dict(_fields(content))
            rule = _as_text(spec.get(_RULE))
            has_prefix = bool(spec.get(_DUMMY_PREFIX, 1))
            collapses = bool(spec.get(_COLLAPSE, 1))
    marked = not has_prefix and set(MARKS) <= set(defined)
    return VocabularySettings(
        _KINDS.get(kind, "unigram"),
        _normalization(rule, collapses),
        tuple(name.removeprefix("▁") for name in defined if not (marked and name in MARKS)),
        marked,
    )


def _normalization(rule: str, collapses: bool) -> Normalization | None:
    if rule == "nmt_nfkc":
        return "nmt_nfkc"
    if rule != "identity":
        return None
    return "whitespace" if collapses else "identity"


def _as_text(value: int | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the number and the value of each field of a protocol buffer message.

    Stop at the first field that cannot be read.
    """
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        if key & 7 == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if key & 7 == 2:
            size, at = _varint(message, at)
        elif key & 7 in (1, 5):
            size = 8 if key & 7 == 1 else 4
        else:
            return
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Return the integer that begins at a position, and the position behind it."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            break
    return value, at
