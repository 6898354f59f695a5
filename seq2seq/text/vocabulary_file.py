"""Read settings from a SentencePiece model, and write a model for a list of tokens.

The Python interface of SentencePiece does not return these settings. A SentencePiece model is a
protocol buffer (`sentencepiece_model.proto`). The settings are a few fields, so this module reads
them without a protobuf library.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from seq2seq.config.tokenizer_section import Normalization
from seq2seq.errors import UserError
from seq2seq.text.case_marks import MARKS
from seq2seq.text.segmentation import Segmentation

_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
# Field numbers of sentencepiece_model.proto.
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3
_TEXT, _TYPE = 1, 3  # field numbers of a piece
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4  # types of pieces
_SEGMENTATION = 1000  # a field of our own, which SentencePiece ignores
SPECIAL_TOKENS = {"<pad>": _CONTROL, "<unk>": _UNKNOWN, "<s>": _CONTROL, "</s>": _CONTROL}
_MODEL_TYPE, _VOCABULARY_SIZE = 3, 4  # field numbers of the trainer's settings
_SPECIAL_IDS = {43: 0, 40: 1, 41: 2, 42: 3}  # of the trainer's settings: <pad>, <unk>, <s>, </s>
_RULE, _DUMMY_PREFIX, _COLLAPSE = 1, 3, 4  # field numbers of the normalizer's settings


@dataclass(frozen=True)
class VocabularySettings:
    """The settings of a SentencePiece model.

    kind: "unigram", "bpe", "word" or "char".
    normalization: How SentencePiece normalises text. None for a rule that seq2seq does not use.
    symbols: The strings of `tokenizer.symbols`.
    case_marked: Whether the model expects text whose capitals are marks (`tokenizer.case`).
    segmentation: How text is split into symbols or grapheme clusters. None for a model that
        SentencePiece has learned.
    """

    kind: str
    normalization: Normalization | None
    symbols: tuple[str, ...]
    case_marked: bool
    segmentation: Segmentation | None = None

    @property
    def separator(self) -> str | None:
        """The string between two symbols, or None for other kinds of tokens."""
        return None if self.segmentation is None else self.segmentation.separator


def read_settings(model: bytes) -> VocabularySettings:
    """Return the settings of a SentencePiece model, given the bytes of a valid model file.

    Raises UserError if the field that seq2seq adds to the model is damaged.
    """
    kind, rule, has_prefix, collapses = 1, "", True, True  # the defaults of the format
    defined, segmentation = [], None
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
        elif field == _SEGMENTATION:
            segmentation = _read_segmentation(content)
    if segmentation is not None:
        symbols = tuple(map(segmentation.unit_of, defined))
        return VocabularySettings(segmentation.kind, "identity", symbols, False, segmentation)
    marked = not has_prefix and set(MARKS) <= set(defined)
    return VocabularySettings(
        _KINDS.get(kind, "unigram"),
        _normalization(rule, collapses),
        tuple(name.removeprefix("▁") for name in defined if not (marked and name in MARKS)),
        marked,
    )


def _read_segmentation(content: bytes) -> Segmentation:
    try:
        separator = json.loads(content)["separator"]
    except (ValueError, KeyError, TypeError, RecursionError):
        separator = ""
    if separator is not None and not (isinstance(separator, str) and separator):
        raise UserError("not a vocabulary that this seq2seq can read; copy the file again")
    return Segmentation(separator)


def write_vocabulary(
    units: Sequence[str], symbols: Sequence[str], segmentation: Segmentation
) -> bytes:
    """Return a SentencePiece model that lists special tokens, symbols and units of text.

    SentencePiece itself would not split text into these units. `ListedUnits` splits the text.

    units: The symbols or grapheme clusters of the text, by id.
    symbols: The strings of `tokenizer.symbols`.
    """
    pieces = list(SPECIAL_TOKENS.items())
    pieces += [(segmentation.piece_of(symbol), _USER_DEFINED) for symbol in symbols]
    pieces += [(segmentation.piece_of(unit), _NORMAL) for unit in units]
    fields = [
        _field(_PIECE, _field(_TEXT, text.encode()) + _field(_TYPE, kind)) for text, kind in pieces
    ]
    trainer = {_MODEL_TYPE: 3, _VOCABULARY_SIZE: len(pieces), **_SPECIAL_IDS}
    normalizer = _field(_RULE, b"identity") + _field(_DUMMY_PREFIX, 0) + _field(_COLLAPSE, 0)
    fields += [
        _field(_TRAINER, b"".join(_field(*item) for item in trainer.items())),
        _field(_NORMALIZER, normalizer),
        _field(_SEGMENTATION, json.dumps(asdict(segmentation)).encode()),
    ]
    return b"".join(fields)


def _field(number: int, value: int | bytes) -> bytes:
    """Return one field of a protocol buffer message."""
    if isinstance(value, int):
        return _as_varint(number << 3) + _as_varint(value)
    return _as_varint(number << 3 | 2) + _as_varint(len(value)) + value


def _as_varint(value: int) -> bytes:
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])


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

    Stop before the first field that cannot be read.
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
    """Return the variable-length integer that begins at `at`, and the position after its end."""
    value = shift = 0
    while at < len(message):
        byte = message[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            break
    return value, at
