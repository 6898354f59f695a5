"""Read settings from a SentencePiece model, and write a model for a list of tokens.

The Python interface of SentencePiece does not return these settings. A SentencePiece model is a
protocol buffer (`sentencepiece_model.proto`). The settings are a few fields, so this module reads
them without a protobuf library.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from seq2seq.config.tokenizer_section import LARGEST_VOCABULARY, Normalization
from seq2seq.errors import UserError
from seq2seq.text.case_marks import MARKS
from seq2seq.text.character_map import check_character_map
from seq2seq.text.protobuf import message_fields, write_field
from seq2seq.text.segmentation import Segmentation

_KINDS = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
# Field numbers of sentencepiece_model.proto.
_PIECE, _TRAINER, _NORMALIZER, _DENORMALIZER = 1, 2, 3, 5
_TEXT, _TYPE = 1, 3  # field numbers of a piece
_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4  # types of pieces
_SCORE_BYTES = 5  # the field of a piece's score
_SEGMENTATION = 1000  # a field of our own, which SentencePiece ignores
SPECIAL_TOKENS = {"<pad>": _CONTROL, "<unk>": _UNKNOWN, "<s>": _CONTROL, "</s>": _CONTROL}
_MODEL_TYPE, _VOCABULARY_SIZE = 3, 4  # field numbers of the trainer's settings
_SPECIAL_IDS = {43: 0, 40: 1, 41: 2, 42: 3}  # of the trainer's settings: <pad>, <unk>, <s>, </s>
_RULE, _CHARACTER_MAP, _DUMMY_PREFIX, _COLLAPSE = 1, 2, 3, 4  # of the normalizer's settings


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
    """Check a SentencePiece model and return its settings.

    SentencePiece crashes the process if it reads certain damaged models. So a model must pass this
    check before SentencePiece reads it.

    Raises UserError if the model is damaged, or has too many pieces.
    """
    try:
        return _read_settings(model)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"the tokenizer file is not a SentencePiece model ({error}); copy the file again if it "
            "is damaged"
        ) from None


def _read_settings(model: bytes) -> VocabularySettings:
    kind, rule, has_prefix, collapses = 1, "", True, True  # the defaults of the format
    defined, segmentation, count = [], None, 0
    for field, content in message_fields(memoryview(model)):
        if isinstance(content, int):
            continue
        if field == _PIECE:
            count += 1
            if count > LARGEST_VOCABULARY:
                raise ValueError(f"the vocabulary has more than {LARGEST_VOCABULARY:,} pieces")
            text, is_symbol = _read_piece(content)
            if is_symbol:
                defined.append(text)
        elif field == _TRAINER:
            number = dict(message_fields(content)).get(_MODEL_TYPE, 1)
            kind = number if isinstance(number, int) else 1
        elif field in (_NORMALIZER, _DENORMALIZER):
            spec = _read_normalizer(content)
            if field == _NORMALIZER:
                rule = _as_text(spec.get(_RULE))
                has_prefix = bool(spec.get(_DUMMY_PREFIX, 1))
                collapses = bool(spec.get(_COLLAPSE, 1))
        elif field == _SEGMENTATION:
            segmentation = _read_segmentation(bytes(content))
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


def _read_piece(content: memoryview) -> tuple[str, bool]:
    """Return the text of a piece, and whether it is one of `tokenizer.symbols`.

    Raises ValueError if the text is not valid UTF-8, or if a symbol contains the character NUL.
    """
    # The usual form, a text and a score, is read without the general reader, which is slower.
    size = len(content) - _SCORE_BYTES
    if 2 < size < 130 and bytes(content[:2]) == bytes([10, size - 2]) and content[size] == 21:
        return str(content[2:size], "utf-8"), False
    text, is_symbol = "", False
    for field, value in message_fields(content):
        if field == _TEXT:
            text = _as_text(value)
        elif field == _TYPE and value == _USER_DEFINED:
            is_symbol = True
    if is_symbol and "\0" in text:
        raise ValueError("a symbol of the vocabulary contains the character NUL")
    return text, is_symbol


def _read_normalizer(content: memoryview) -> dict[int, int | memoryview]:
    fields = {}
    for field, value in message_fields(content):
        if field == _CHARACTER_MAP and len(_as_bytes(value)):
            check_character_map(_as_bytes(value))
        fields[field] = value
    return fields


def _read_segmentation(content: bytes) -> Segmentation:
    separator = json.loads(content)["separator"]
    if separator is not None and not (isinstance(separator, str) and separator):
        raise ValueError("the separator between symbols must be a string that is not empty")
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
        write_field(_PIECE, write_field(_TEXT, text.encode()) + write_field(_TYPE, kind))
        for text, kind in pieces
    ]
    trainer = {_MODEL_TYPE: 3, _VOCABULARY_SIZE: len(pieces), **_SPECIAL_IDS}
    normalizer = (
        write_field(_RULE, b"identity") + write_field(_DUMMY_PREFIX, 0) + write_field(_COLLAPSE, 0)
    )
    fields += [
        write_field(_TRAINER, b"".join(write_field(*item) for item in trainer.items())),
        write_field(_NORMALIZER, normalizer),
        write_field(_SEGMENTATION, json.dumps(asdict(segmentation)).encode()),
    ]
    return b"".join(fields)


def _normalization(rule: str, collapses: bool) -> Normalization | None:
    if rule == "nmt_nfkc":
        return "nmt_nfkc"
    if rule != "identity":
        return None
    return "whitespace" if collapses else "identity"


def _as_bytes(value: int | memoryview | None) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a field of the SentencePiece model has the wrong type")
    return memoryview(b"") if value is None else value


def _as_text(value: int | memoryview | None) -> str:
    return str(_as_bytes(value), "utf-8")
