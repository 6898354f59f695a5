"""The section [tokenizer]: the tokens of source and target, and the vocabularies."""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal

from pydantic import Field, model_validator

from seq2seq.config.section import FROM_TEXT, SIDES, TEXT_TO_TEXT, Section, Side, used_where

Normalization = Literal["identity", "whitespace", "nfc", "nfd", "nmt_nfkc"]
TokenKind = Literal["unigram", "bpe", "char", "word", "symbols"]
CharacterUnit = Literal["code point", "grapheme"]
LARGEST_VOCABULARY = 500_000
_SUBWORDS = ("unigram", "bpe")
_RESERVED = ("<pad>", "<unk>", "<s>", "</s>")  # the special tokens


class SideConfig(Section):
    """This section sets the tokenizer of the source alone or of the target alone. A setting in
    `[tokenizer.source]` or `[tokenizer.target]` replaces the setting of the same name in
    `[tokenizer]`. If source and target have different kinds of tokens, they have separate
    vocabularies."""

    kind: TokenKind | None = Field(
        None,
        description="Kind of tokens of this side (source or target). The key `tokenizer.kind` "
        "explains the values.",
        examples=["symbols"],
        json_schema_extra=TEXT_TO_TEXT,
    )
    vocabulary: int | None = Field(
        None,
        ge=8,
        le=LARGEST_VOCABULARY,
        description="Size of the vocabulary of this side (source or target) in tokens, including "
        "the special tokens.",
        examples=[100],
        json_schema_extra=TEXT_TO_TEXT,
    )
    separator: str | None = Field(
        None,
        description='With `kind = "symbols"`: the string between two symbols in the text of this '
        "side (source or target).",
        examples=["-"],
        json_schema_extra=TEXT_TO_TEXT,
    )
    unit: CharacterUnit | None = Field(
        None,
        description='With `kind = "char"`: what counts as a character in the text of this side '
        "(source or target). The key `tokenizer.unit` explains the values.",
        examples=["code point"],
        json_schema_extra=TEXT_TO_TEXT,
    )
    normalization: Normalization | None = Field(
        None,
        description="How the text of this side (source or target) is normalised. The key "
        "`tokenizer.normalization` explains the values. If this section sets `kind` to `char` or "
        "`symbols`, the default is `identity`.",
        examples=["nfc"],
    )
    lowercase: bool | None = Field(
        None,
        description="Convert the text of this side (source or target) to lower case. Default: the "
        "value of `tokenizer.lowercase`.",
        examples=[True],
    )


class TokenizerConfig(Section):
    """The tokenizer. SentencePiece learns its vocabulary from the training set.

    `[tokenizer.source]` and `[tokenizer.target]` hold settings that differ between source and
    target.
    """

    kind: TokenKind = Field(
        "unigram",
        description="Kind of tokens: `unigram` (subwords by a unigram language model), `bpe` "
        "(subwords by byte-pair encoding), `char` (characters), `word` (whole words) or `symbols` "
        "(with `separator` between them, such as the phones `AE B IY`).",
    )
    vocabulary: int = Field(
        8000,
        ge=8,
        le=LARGEST_VOCABULARY,
        description="Size of the vocabulary in tokens, including the special tokens. `unigram` and "
        "`bpe` vocabularies have exactly this size. For the other kinds, it is the maximum size.",
    )
    separator: str = Field(
        " ",
        description='With `kind = "symbols"`: the string between two symbols, in the data and in '
        "translations.",
    )
    unit: CharacterUnit = Field(
        "code point",
        description='With `kind = "char"`: definition of a character. `code point`: a Unicode '
        "code point. `grapheme`: a grapheme cluster, which is a letter together with its "
        "combining marks.",
    )
    joint: bool = Field(
        True,
        description="Use one vocabulary for source and target. If false, source and target have "
        "separate vocabularies of `vocabulary` tokens each. Always false if source and target "
        "have different kinds of tokens.",
    )
    model: str | None = Field(
        None,
        description="Path of a vocabulary that `seq2seq tokenizer train` made. Training then "
        "learns no vocabulary, and the key `vocabulary` has no effect.",
        examples=["shared.model"],
    )
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 checksum that the file named by `model` must have. Training sets "
        "this key, so a model folder records which vocabulary the model uses.",
        examples=["0" * 64],
    )
    byte_fallback: bool = Field(
        True,
        description="Encode characters that are not in the vocabulary as bytes, so that no input "
        "becomes `<unk>`. Only the kinds `unigram` and `bpe` can do this. For the other kinds, "
        "the value is always false.",
    )
    character_coverage: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Fraction of the characters in the training text that the vocabulary must "
        "cover, above 0 and up to 1. The rarest characters are left out. Without this key: 0.9995 "
        "for `unigram` and `bpe`, 1 for the other kinds.",
        examples=[0.9995],
    )
    lowercase: bool = Field(
        False,
        description="Convert all text, source and target, to lower case. The model then writes "
        "only lower case.",
    )
    case: Literal["plain", "marked"] = Field(
        "plain",
        description="How capital letters are encoded. `plain`: unchanged. `marked`: as lower-case "
        "text with tokens that mark the capitals, so `THE BAKER` has the same translation as `the "
        "baker`, in capitals. `marked` needs the kind `unigram`, `bpe` or `char`.",
    )
    capitals: float = Field(
        0.1,
        ge=0,
        le=1,
        description='With `case = "marked"`: fraction of the training pairs that training also '
        "sees in capitals. 0.1 adds a copy in capitals of every tenth pair.",
        json_schema_extra=FROM_TEXT,
    )
    symbols: list[str] = Field(
        [],
        max_length=10_000,
        description="Strings that are never split or changed, such as language tags or markup. "
        "Each string has its own token and must not contain white space.",
    )
    normalization: Normalization | None = Field(
        None,
        description="How text is normalised: `identity` (unchanged), `whitespace` (single spaces), "
        "`nfc`, `nfd` (Unicode), `nmt_nfkc` (NFKC, single spaces). Default: `nmt_nfkc` for "
        "sources; `identity` for targets and `symbols`; `whitespace` for `word` targets.",
        examples=["identity"],
    )
    sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Subword regularisation, which splits the training text into subwords in a new "
        "random way in every epoch. The value is the smoothing parameter alpha for `unigram`, and "
        "the dropout rate for `bpe`. 0 turns subword regularisation off.",
    )
    sample_lines: int = Field(
        1_000_000,
        ge=1,
        le=1_000_000_000,
        description="Maximum number of training pairs (for a language model: lines) from which the "
        "vocabulary is learned. From a larger training set, pairs are taken at even intervals.",
    )
    source: SideConfig = Field(
        SideConfig(),
        description="Tokenizer settings that apply only to the source.",
        json_schema_extra=FROM_TEXT,
    )
    target: SideConfig = Field(
        SideConfig(),
        description="Tokenizer settings that apply only to the target.",
        json_schema_extra=used_where(lambda task: task.has_target_text),
    )

    @property
    def has_subwords(self) -> bool:
        """Whether the tokens are subwords, not characters, words or symbols."""
        return self.kind in _SUBWORDS

    @property
    def coverage(self) -> float:
        """The value of `character_coverage`, by default the one for this kind of tokens."""
        if self.character_coverage is not None:
            return self.character_coverage
        return 0.9995 if self.has_subwords else 1.0

    def of(self, side: Side) -> TokenizerConfig:
        """Return the settings of the source or the target, which override the common settings."""
        changes = getattr(self, side).model_dump(exclude_none=True)
        changes["normalization"] = self.normalization_of(side)
        return self.model_copy(update=changes)

    def normalization_of(self, side: Side) -> Normalization:
        """Return the normalisation of the source text or of the target text."""
        own: SideConfig = getattr(self, side)
        kind, unit = own.kind or self.kind, own.unit or self.unit
        if chosen := own.normalization or self.normalization:
            return chosen
        if kind == "symbols" or (kind == "char" and (own.kind or unit == "grapheme")):
            return "identity"
        if side == "source":
            return "nmt_nfkc"
        return "whitespace" if kind == "word" else "identity"

    def _tokens_of(self, side: Side) -> tuple[object, ...]:
        """Return the settings that must be the same in source and target to share a vocabulary."""
        chosen = self.of(side)
        detail = {"symbols": chosen.separator, "char": chosen.unit}.get(chosen.kind)
        return chosen.kind, detail, chosen.vocabulary

    @property
    def sides_differ(self) -> bool:
        """Whether source and target have different tokens, so they cannot share a vocabulary."""
        return self._tokens_of("source") != self._tokens_of("target")

    @model_validator(mode="after")
    def _settle(self) -> TokenizerConfig:
        if self.sides_differ and "joint" not in self.model_fields_set:
            self.__dict__["joint"] = False
        # Configurations of older versions say true for every kind, although it had no effect.
        if not any(self.of(side).has_subwords for side in SIDES):
            self.__dict__["byte_fallback"] = False
        return self

    @model_validator(mode="after")
    def _check_settings(self) -> TokenizerConfig:
        for symbol in self.symbols:
            if not symbol or re.search(r"\s|▁", symbol) or symbol in _RESERVED:
                raise ValueError(
                    f"symbols: {symbol!r} cannot be a symbol; use a string without white space and "
                    "without '▁'. Special tokens such as '<unk>' are not possible either"
                )
        if repeated := [name for name, times in Counter(self.symbols).items() if times > 1]:
            raise ValueError(f"symbols: {repeated[0]!r} occurs twice; name each symbol once")
        sides = [self.of(side) for side in SIDES]
        listed = any(
            side.kind in ("word", "symbols") or side.unit != "code point" for side in sides
        )
        if self.case == "marked" and (listed or any(side.lowercase for side in sides)):
            raise ValueError(
                "case = 'marked' needs lowercase = false and kind = 'unigram', 'bpe' or 'char' "
                "(with unit = 'code point')"
            )
        if self.joint and self.sides_differ:
            raise ValueError(
                "joint = true needs the same kind of tokens and the same vocabulary size for "
                "source and target; set joint = false, or remove it"
            )
        self._check_units()
        if self.model is not None and not self.joint:
            raise ValueError(
                "the key model needs joint = true, because source and target share "
                "this vocabulary; remove joint, or remove model"
            )
        return self

    def _check_units(self) -> None:
        """Raise ValueError for a separator or unit that is invalid or that has no effect."""
        kinds = {side: {self.of(side).kind} for side in SIDES}
        _check_units_of(self, "", kinds["source"] | kinds["target"])
        for side in SIDES:
            _check_units_of(getattr(self, side), f"{side}.", kinds[side])


def _check_units_of(
    section: TokenizerConfig | SideConfig, place: str, kinds: set[TokenKind]
) -> None:
    """Raise ValueError for a separator or unit that is invalid or does not fit the kinds of tokens.

    place: The section in messages, such as "source." for `[tokenizer.source]`.
    kinds: The kinds of tokens that the section configures.
    """
    separator = section.separator
    if separator is not None and (not separator or re.search(r"[\t\n\r▁]", separator)):
        raise ValueError(
            f"{place}separator: {separator!r} cannot separate symbols; use a string that is not "
            "empty and contains no tab, no line end and no '▁'"
        )
    if separator not in (None, " ") and "symbols" not in kinds:
        raise ValueError(
            f"{place}separator works only with {place}kind = 'symbols'; set this "
            "kind, or remove the separator"
        )
    if section.unit not in (None, "code point") and "char" not in kinds:
        raise ValueError(
            f"{place}unit works only with {place}kind = 'char'; set this kind, or remove the unit"
        )
