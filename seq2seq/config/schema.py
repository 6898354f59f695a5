"""The schema of a configuration: every key with its type, default and description.

A configuration has a few top-level keys, such as `task` and `seed`, and one section for each class
below. `seq2seq.config.toml` reads configurations. The docstrings of the sections and the
descriptions of the keys are written for users, because `seq2seq config` prints them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from seq2seq.tasks import TASKS, TRANSLATION, Task, find_task

# A key of the pydantic validation context. If its value is true, `data.train` or `data.hub` must be
# set, because the training set is read from there.
NEEDS_FILES = "needs_files"

Cell = Literal["rnn", "rnn-relu", "lstm", "gru"]
Precision = Literal["auto", "fp32", "bf16"]
Normalization = Literal["identity", "whitespace", "nfc", "nfd", "nmt_nfkc"]
Side = Literal["source", "target"]
TokenKind = Literal["unigram", "bpe", "char", "word", "symbols"]
CharacterUnit = Literal["code point", "grapheme"]
_SIDES: tuple[Side, ...] = ("source", "target")
_SUBWORDS = ("unigram", "bpe")
_RESERVED = ("<pad>", "<unk>", "<s>", "</s>")  # the special tokens
_Beta = Annotated[float, Field(ge=0, lt=1)]


def _used_where(uses: Callable[[Task], bool]) -> dict[str, Any]:
    """Return the names of the tasks that use a key, as a value for pydantic's `json_schema_extra`.

    If a task allows only one value of a key, this value is listed in `Task.allowed` instead.
    """
    return {"tasks": [task.name for task in TASKS.values() if uses(task)]}


_FOR_LANGUAGE_MODELS = _used_where(lambda task: not task.has_source)
_WITH_A_SOURCE = _used_where(lambda task: task.has_source)
_WITH_LABELS = _used_where(lambda task: not task.has_target_text)
_FROM_A_CONDITION = _used_where(lambda task: task.source == "condition")
_FROM_TEXT = _used_where(lambda task: task.source in ("text", "words"))
_TEXT_TO_TEXT = _used_where(lambda task: task.source == "text" and task.has_target_text)
_WITH_ATTENTION = _used_where(
    lambda task: task.source == "text" and task.has_target_text and not task.same_length
)


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelType
else:
    _ModelType = type(BaseModel)


class _SectionType(_ModelType):
    """The type of all sections. A program that calls `Config(...)` gets a UserError for mistakes.

    The UserError needs `seq2seq.config.toml`. If that module is not imported, pydantic's own error
    is raised.

    explain: a function that raises a UserError with all mistakes in the values of a section. Its
        arguments are the section, the values and the name of the section.
    """

    explain: Callable[[type[Any], dict[str, Any], str], object] | None = None

    def __call__(cls, *arguments: Any, **values: Any) -> Any:  # noqa: N805 - of a metaclass
        """Return a new section with these values. Raise UserError if there are mistakes."""
        try:
            return super().__call__(*arguments, **values)
        except ValidationError:
            if _SectionType.explain is not None:
                _SectionType.explain(cls, values, cls.__name__)
            raise


def explain_mistakes(explain: Callable[[type[Any], dict[str, Any], str], object]) -> None:
    """Set the function that raises a UserError for mistakes in `Config(...)`."""
    _SectionType.explain = staticmethod(explain)


class Section(BaseModel, metaclass=_SectionType):
    """The base class of all sections. It refuses changes, unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _check_paths(value: object) -> object:
    """Return the value of `data.valid` unchanged. Raise ValueError unless it consists of paths."""

    def is_path(value: object) -> bool:
        parts = value if isinstance(value, list) else [value]
        return all(isinstance(part, str) for part in parts)

    values = list(value.values()) if isinstance(value, dict) else [value]
    if value is not None and not all(map(is_path, values)):
        raise ValueError(
            f"must be a path, a list of two paths, or a table of names and paths, not {value!r}"
        )
    return value


_ValidationSets = Annotated[
    str | list[str] | dict[str, str | list[str]] | None, BeforeValidator(_check_paths)
]


class DataConfig(Section):
    """The data sets, and the rules that decide which training examples are used.

    `train`, `valid` and `test` each name a data set. For two parallel files, give either a list of
    both files, source first, or their common prefix. With `source = "de"`, the prefix
    `"corpus/train"` stands for the source file `corpus/train.de` or `corpus/train.de.gz`. A data
    set can also be one table: a `.tsv`, `.csv`, `.jsonl`, `.conllu`, `.tmx` or `.parquet` file, or
    any other file whose first line contains a tab. For a language model, give one text file or one
    table. All files except `.parquet` files may be compressed (`.gz`, `.xz`, `.bz2`, `.zst`).

    A relative path is looked up in the folder of the configuration first, then in
    `$SEQ2SEQ_DATA`.
    """

    source: str = Field(
        description="Name of the source side, usually a language code such as `de`. The name is "
        "the ending of source files, the column of the source in a table, and its language in "
        "TMX.",
    )
    target: str = Field(
        min_length=1,
        description="Name of the target side, usually a language code such as `en`. Target files "
        "end in this name, tables have the target in the column of this name, and in TMX it is the "
        "target language. See also `validation.tokenize`.",
    )
    train: str | list[str] | None = Field(
        None,
        description="Path of the training set. Set either this key or the key `hub`.",
    )
    valid: _ValidationSets = Field(
        None,
        description="Path of the validation set, which decides which weights are best. Set this "
        "key or `hub`. Several sets are a table of names and paths, `[data.valid]`. The first set "
        "decides, unless `validation.set` names another.",
    )
    test: str | list[str] | None = Field(
        None,
        description="Path of the test set. Only `seq2seq evaluate` scores it. Training warns "
        "if the training set contains examples of the test set.",
    )
    source_column: str | int | None = Field(
        None,
        description="Column of the source in a table. Set this key if the name of the column "
        "differs from `source`. A dot selects a nested column (`translation.de`). For a TSV or CSV "
        "file without a header, give the column number, counted from 1.",
        examples=[1],
        json_schema_extra=_WITH_A_SOURCE,
    )
    target_column: str | int | None = Field(
        None,
        description="Column of the target in a table. Set this key if the name of the column "
        "differs from `target`. Write the value in the same way as `source_column`.",
        examples=[2],
    )
    quoting: Literal["auto", "none", "csv"] = Field(
        "auto",
        description="Meaning of quotation marks in TSV and CSV files. With `csv`, they enclose "
        "values, as RFC 4180 defines. With `none`, they are part of the text. `auto` means `csv` "
        "for CSV files and for TSV files in which all quotation marks follow RFC 4180.",
    )
    references: list[str | int] = Field(
        [],
        description="Further references of the validation and test sets, besides `target`: the "
        "file endings of their text files, or the names of their columns in a table. BLEU and the "
        "other scores of translations use all references. Training does not read them.",
        json_schema_extra=_TEXT_TO_TEXT,
    )
    alternatives: str = Field(
        "",
        description="String between several correct targets in one line, such as `;`. Each "
        "becomes a training pair of its own. In validation and test sets, they become several "
        "references. If this key is empty, each line is one target.",
        examples=[";"],
        json_schema_extra=_TEXT_TO_TEXT,
    )
    merge_sources: bool = Field(
        False,
        description="Merge the rows of a validation or test set that have the same source. Their "
        "targets become several references, so that one correct target is enough.",
        json_schema_extra=_TEXT_TO_TEXT,
    )
    hub: str | None = Field(
        None,
        description="Dataset of the Hugging Face hub: its id, or the path of a local folder. It "
        "provides every data set for which `train`, `valid` or `test` names no file.",
        examples=["owner/dataset"],
    )
    hub_config: str | None = Field(
        None,
        description="Configuration (subset) of the hub dataset to read. Set this key if the "
        "dataset has several configurations.",
        examples=["de-en"],
    )
    hub_splits: dict[Literal["train", "valid", "test"], str] = Field(
        {"train": "train", "valid": "validation", "test": "test"},
        description="Names of the training, validation and test splits in the hub dataset.",
    )
    max_tokens: int = Field(
        256,
        ge=1,
        description="Maximum length of a source or target text in subwords. Training drops every "
        "pair with a longer text. Translation splits longer lines into parts.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    max_ratio: float = Field(
        0.0,
        ge=0,
        description="Maximum length ratio of a training pair: the length of the longer text in "
        "subwords, divided by the length of the shorter text. Training drops pairs with a larger "
        "ratio. 0 means no limit.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    drop_duplicates: bool = Field(
        True,
        description="Drop every training pair that is equal to an earlier pair.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    line_ends: bool = Field(
        True,
        description="Language model: append the token `</s>` to each line of text. If false, lines "
        "follow each other without a separating token.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )

    @model_validator(mode="after")
    def _has_training_pairs(self, info: ValidationInfo) -> DataConfig:
        # A model folder and training on data in memory do not need a training set in [data].
        files_needed = (info.context or {}).get(NEEDS_FILES, False)
        if files_needed and self.train is None and self.hub is None:
            raise ValueError(
                "no training set: set the key train (files) or hub (Hugging Face dataset)"
            )
        named = {f"valid.{name}": value for name, value in self.valid_sets.items() if name}
        for name, value in {"train": self.train, "test": self.test, "valid": self.valid}.items():
            named |= {} if isinstance(value, dict) else {name: value}
        for name, value in named.items():
            if isinstance(value, list) and len(value) != 2:
                raise ValueError(
                    f"{name}: a list needs two files, source first, but this one has {len(value)}"
                )
        for name in self.valid_sets:
            if name in ("train", "valid", "test") or not re.fullmatch(r"[\w.-]*", name):
                raise ValueError(
                    f"valid: {name!r} cannot name a validation set; use letters, digits, '_', '.' "
                    "and '-', and not the names 'train', 'valid' and 'test'"
                )
        if isinstance(self.valid, dict) and not self.valid:
            raise ValueError("valid: the table is empty; name at least one validation set")
        return self

    @property
    def valid_sets(self) -> dict[str, str | list[str] | None]:
        """The validation sets by name. The name of a set without a name is ""."""
        if isinstance(self.valid, dict):
            return dict(self.valid)
        return {"": self.valid}


class SideConfig(Section):
    """Tokenizer settings of one side. For this side, they replace the settings in `[tokenizer]`.
    Sides with tokens of different kinds have separate vocabularies."""

    kind: TokenKind | None = Field(
        None,
        description="Kind of tokens of this side. The values are those of `tokenizer.kind`.",
        examples=["symbols"],
        json_schema_extra=_TEXT_TO_TEXT,
    )
    vocabulary: int | None = Field(
        None,
        ge=8,
        description="Size of the vocabulary of this side, as `tokenizer.vocabulary` explains.",
        examples=[100],
        json_schema_extra=_TEXT_TO_TEXT,
    )
    separator: str | None = Field(
        None,
        description="With `symbols`: the string between two symbols of this side.",
        examples=["-"],
        json_schema_extra=_TEXT_TO_TEXT,
    )
    unit: CharacterUnit | None = Field(
        None,
        description='With `kind = "char"`: the unit of text on this side. The key `tokenizer.unit` '
        "explains the values.",
        examples=["code point"],
        json_schema_extra=_TEXT_TO_TEXT,
    )
    normalization: Normalization | None = Field(
        None,
        description="How the text of this side is normalised. The values are those of "
        "`tokenizer.normalization`. The default is `identity` for a side whose own `kind` is "
        "`char` or `symbols`.",
        examples=["nfc"],
    )


class TokenizerConfig(Section):
    """The tokenizer. SentencePiece learns its vocabulary from the training set.

    `[tokenizer.source]` and `[tokenizer.target]` hold settings that differ between the sides.
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
        description="Size of the vocabulary in tokens, including the special tokens. `unigram` and "
        "`bpe` vocabularies have exactly this size. For the other kinds, it is the maximum size.",
    )
    separator: str = Field(
        " ",
        description="With `symbols`: the string between two symbols, also in translations.",
    )
    unit: CharacterUnit = Field(
        "code point",
        description="With `char`: definition of a character. `code point`: a Unicode code point. "
        "`grapheme`: a grapheme cluster, which is a letter together with its combining marks.",
    )
    joint: bool = Field(
        True,
        description="Use one vocabulary for source and target. If false, source and target have "
        "separate vocabularies of `vocabulary` tokens each. Always false for sides with different "
        "kinds of tokens.",
    )
    model: str | None = Field(
        None,
        description="Path of a vocabulary that `seq2seq tokenizer train` made. Training uses it "
        "instead of learning one, and `vocabulary` has no effect.",
        examples=["shared.model"],
    )
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 checksum that the file of `model` must have. Training fills it in, so "
        "a model folder records which vocabulary it uses.",
        examples=["0" * 64],
    )
    byte_fallback: bool = Field(
        True,
        description="With `unigram` or `bpe`: encode characters that are not in the vocabulary as "
        "bytes, so that no input becomes `<unk>`. Always false for the other kinds.",
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
        description="Convert all text to lower case. The model then writes only lower case.",
    )
    case: Literal["plain", "marked"] = Field(
        "plain",
        description="With `marked`: marks before lower-case text represent capitals. So "
        "`THE BAKER` has the same translation as `the baker`, but in capitals. Needs `unigram`, "
        "`bpe` or `char`.",
    )
    capitals: float = Field(
        0.1,
        ge=0,
        le=1,
        description='With `case = "marked"`: fraction of the training pairs that training also '
        "sees in capitals. 0.1 adds a copy in capitals of every tenth pair.",
        json_schema_extra=_FROM_TEXT,
    )
    symbols: list[str] = Field(
        [],
        description="Strings that are never split or changed, such as language tags or markup. "
        "Each has its own token. A symbol must not contain white space.",
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
        description="Maximum number of training pairs (for a language model: lines) from which the "
        "vocabulary is learned. From a larger training set, pairs are taken at even intervals.",
    )
    source: SideConfig = Field(
        SideConfig(),
        description="Settings for the source alone.",
        json_schema_extra=_FROM_TEXT,
    )
    target: SideConfig = Field(
        SideConfig(),
        description="Settings for the target alone.",
        json_schema_extra=_used_where(lambda task: task.has_target_text),
    )

    @property
    def has_subwords(self) -> bool:
        """Whether the tokens are subwords, not characters, words or symbols."""
        return self.kind in _SUBWORDS

    @property
    def coverage(self) -> float:
        """The value of `character_coverage`, or its default for this kind."""
        if self.character_coverage is not None:
            return self.character_coverage
        return 0.9995 if self.has_subwords else 1.0

    def of(self, side: Side) -> TokenizerConfig:
        """Return the tokenizer settings of one side: its own settings, and else the common ones."""
        changes = getattr(self, side).model_dump(exclude_none=True)
        changes["normalization"] = self.normalization_of(side)
        return self.model_copy(update=changes)

    def normalization_of(self, side: Side) -> Normalization:
        """Return the normalisation of the text of a side."""
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
        """Return the settings that must be equal on both sides to share a vocabulary."""
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
        if not any(self.of(side).has_subwords for side in _SIDES):
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
        if repeated := [name for name in self.symbols if self.symbols.count(name) > 1]:
            raise ValueError(f"symbols: {repeated[0]!r} occurs twice; name each symbol once")
        sides = [self.of(side) for side in _SIDES]
        listed = any(
            side.kind in ("word", "symbols") or side.unit != "code point" for side in sides
        )
        if self.case == "marked" and (self.lowercase or listed):
            raise ValueError(
                "case 'marked' needs lowercase = false and a kind of 'unigram', 'bpe' or 'char' "
                "with unit = 'code point'"
            )
        if self.joint and self.sides_differ:
            raise ValueError(
                "joint = true needs the same kind and size of vocabulary on both sides: set joint "
                "= false, or remove it"
            )
        self._check_units()
        if self.model is not None and not self.joint:
            raise ValueError("model needs joint = true, because both sides share the vocabulary")
        return self

    def _check_units(self) -> None:
        """Raise ValueError for a separator or unit that is invalid or that no side uses."""
        kinds = {side: {self.of(side).kind} for side in _SIDES}
        _check_units_of(self, "", kinds["source"] | kinds["target"])
        for side in _SIDES:
            _check_units_of(getattr(self, side), f"{side}.", kinds[side])


def _check_units_of(
    section: TokenizerConfig | SideConfig, place: str, kinds: set[TokenKind]
) -> None:
    """Raise ValueError for a separator or unit that is invalid or does not fit the kinds of tokens.

    place: The prefix of the key in messages, such as "source.".
    kinds: The kinds of tokens of the sides that use the section.
    """
    separator = section.separator
    if separator is not None and (not separator or re.search(r"[\t\n\r▁]", separator)):
        raise ValueError(
            f"{place}separator: {separator!r} cannot separate symbols; use a string that is not "
            "empty and has no tabs, line ends and '▁'"
        )
    if separator not in (None, " ") and "symbols" not in kinds:
        raise ValueError(f"{place}separator needs {place}kind = 'symbols'")
    if section.unit not in (None, "code point") and "char" not in kinds:
        raise ValueError(f"{place}unit needs {place}kind = 'char'")


class EncoderConfig(Section):
    """The encoder, which reads the source. For a text, the encoder is a recurrent network. For a
    label or a vector of numbers, the encoder is an embedding."""

    kind: Literal["recurrent", "label", "vector"] = Field(
        "recurrent",
        description="What the encoder reads: `recurrent` reads a text, `label` reads one label, "
        "and `vector` reads one vector of numbers.",
    )
    vector_size: int = Field(
        3,
        ge=1,
        description='With `kind = "vector"`: number of components of a source vector.',
        json_schema_extra=_FROM_A_CONDITION,
    )
    cell: Cell = Field(
        "gru",
        description="Type of the recurrent cell. `rnn` is the simple (Elman) cell with tanh; "
        "`rnn-relu` is the same cell with ReLU.",
        json_schema_extra=_FROM_TEXT,
    )
    embedding: int = Field(
        256,
        ge=1,
        description='Size of the source embeddings. With `kind = "vector"`: size of the hidden '
        "layer that reads the vector.",
    )
    hidden: int = Field(
        256,
        ge=1,
        description="Number of hidden units in each recurrent layer, per direction.",
        json_schema_extra=_FROM_TEXT,
    )
    layers: int = Field(
        1,
        ge=1,
        description="Number of recurrent layers. Every layer except the first has a residual "
        "connection.",
        json_schema_extra=_FROM_TEXT,
    )
    bidirectional: bool = Field(
        True,
        description="Read the source in both directions. The second direction doubles the size of "
        "each encoder state.",
        json_schema_extra=_FROM_TEXT,
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate on the output of each recurrent layer. 0 turns dropout off.",
        json_schema_extra=_FROM_TEXT,
    )
    embedding_dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate on the source embeddings. 0 turns dropout off.",
        json_schema_extra=_FROM_TEXT,
    )
    variational: bool = Field(
        False,
        description="Use variational dropout: all time steps of a sentence use one dropout mask.",
        json_schema_extra=_FROM_TEXT,
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each recurrent layer.",
        json_schema_extra=_FROM_TEXT,
    )

    @property
    def state_size(self) -> int:
        """The size of an encoder state, which the shapes call D."""
        return self.hidden * (2 if self.bidirectional else 1)


class ContextConfig(Section):
    """The context vector c, which carries the source to the decoder or to the classifier. A fixed c
    is the same at every step of the decoder. Attention computes a new c at every step."""

    kind: Literal[
        "fixed", "same-position", "additive", "dot", "general", "cosine", "multi-head"
    ] = Field(
        "cosine",
        description="How the context vector is computed. `fixed`: one summary of the source. "
        "`same-position` (only for the task `aligned`): the encoder state at the "
        "position of the target token. All other values: attention with the score "
        "function of this name.",
    )
    placement: Literal["parallel", "classic"] = Field(
        "parallel",
        description="Place of attention. `parallel`: the query is the first decoder layer's new "
        "state, and all other layers receive the context vector c. `classic`: the "
        "query is the first decoder layer's previous state, and all layers receive c.",
        json_schema_extra=_WITH_ATTENTION,
    )
    shortcut: bool = Field(
        True,
        description="Append each source embedding to the encoder state of the same position. "
        "Attention and the poolings `mean` and `attentive` then average states and embeddings.",
        json_schema_extra=_FROM_TEXT,
    )
    pooling: Literal["last", "mean", "max", "attentive"] = Field(
        "attentive",
        description="How the encoder states are combined into one summary of the source. The "
        'summary initialises the decoder. With `kind = "fixed"`, it is also the context vector. '
        "`attentive` pooling is a weighted mean with learned weights.",
        json_schema_extra=_FROM_TEXT,
    )
    heads: int = Field(
        8,
        ge=1,
        description="Number of heads in `multi-head` attention and in `attentive` pooling.",
        json_schema_extra=_FROM_TEXT,
    )
    size: int = Field(
        512, ge=1, description="Size of the context vector c and of the summary of the source."
    )

    @property
    def is_attention(self) -> bool:
        """Whether attention computes the context vector."""
        return self.kind not in ("fixed", "same-position")

    @model_validator(mode="after")
    def _heads_fit(self) -> ContextConfig:
        if self.kind == "multi-head" and self.size % self.heads:
            raise ValueError(
                f"size ({self.size}) must be a multiple of heads ({self.heads}); change one of them"
            )
        if not self.is_attention and self.placement == "classic":
            raise ValueError(
                f"placement 'classic' needs attention, but kind {self.kind!r} has none; leave out "
                "placement"
            )
        return self


class DecoderConfig(Section):
    """The decoder, which writes the target token by token. A language model has only a decoder and
    no encoder."""

    cell: Cell = Field(
        "gru",
        description="Type of the recurrent cell. `rnn` is the simple (Elman) cell with tanh; "
        "`rnn-relu` is the same cell with ReLU.",
    )
    embedding: int = Field(
        256,
        ge=1,
        description="Size of the target embeddings. In a language model with tied embeddings, this "
        "size must be equal to `hidden`, or to twice `hidden` if `bidirectional` is true.",
    )
    hidden: int = Field(512, ge=1, description="Number of hidden units in each recurrent layer.")
    layers: int = Field(
        1,
        ge=1,
        description="Number of recurrent layers. Every layer except the first has a residual "
        "connection.",
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate between the recurrent layers and before the output layer. "
        "0 turns dropout off.",
    )
    embedding_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout rate on the target embeddings. 0 turns dropout off."
    )
    variational: bool = Field(
        False,
        description="Use variational dropout: all time steps of a sentence use one dropout mask.",
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each recurrent layer.",
    )
    weight_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Language model: dropout rate on the recurrent (state-to-state) weights. 0 "
        "turns this dropout off.",
    )
    tied: Literal["none", "output", "all"] = Field(
        "output",
        description="Weight tying. `output`: the output layer uses the target embeddings as its "
        "weights. `all`: source and target also share their embeddings, which needs "
        "`tokenizer.joint = true` and equal embedding sizes. `none`: no weights are tied.",
    )
    bidirectional: bool = Field(
        False,
        description="Language model: read the text in both directions. A bidirectional model sees "
        "the tokens that it must predict, so it cannot generate useful text.",
    )


class TrainingConfig(Section):
    """Training: batches, optimiser, regularisation and limits. Set at least one of the limits
    `epochs`, `updates` and `minutes`. Training stops as soon as it reaches one of these limits, or
    after `patience` validations without improvement."""

    batch_tokens: int = Field(
        1536,
        ge=1,
        description="Maximum size of a batch in tokens, including padding. The size is the number "
        "of examples times the length of the longest source or target text.",
    )
    window: int = Field(
        35,
        ge=1,
        description="Language model: number of time steps of truncated backpropagation through "
        "time. A batch holds `batch_tokens` / `window` rows, which are parallel streams of text.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )
    windows: Literal["contiguous", "random"] = Field(
        "contiguous",
        description="Language model: recurrent state at the start of a window of text. A "
        "`contiguous` window continues from the last state of the previous window. A `random` "
        "window starts from a zero state.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )
    accumulate: int = Field(
        1, ge=1, description="Number of batches whose gradients are added up for one update."
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        description="Optimiser: `adamw` (AdamW) or `sgd` (stochastic gradient descent without "
        "momentum).",
    )
    learning_rate: float = Field(
        2e-3, gt=0, description="Peak learning rate, which training reaches at the end of warm-up."
    )
    betas: tuple[_Beta, _Beta] = Field(
        (0.9, 0.98),
        description="AdamW: decay rates of the running averages of the gradient and of the squared "
        "gradient.",
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="Weight decay rate. Weight decay applies to weight matrices but not to biases. "
        "0 turns weight decay off.",
    )
    schedule: Literal["inverse-sqrt", "cosine", "plateau", "constant"] = Field(
        "inverse-sqrt",
        description="Learning rate after warm-up. `inverse-sqrt`: falls as 1 / sqrt(updates). "
        "`cosine`: falls to 0 at the end, by time if `minutes` is the only limit. "
        "`plateau`: falls when the validation result stops improving. `constant`: does "
        "not change.",
    )
    warmup: int = Field(
        400,
        ge=0,
        description="Number of updates in which the learning rate rises linearly to its peak "
        "(warm-up). 0 turns warm-up off.",
    )
    plateau_factor: float = Field(
        0.5,
        gt=0,
        lt=1,
        description='With `schedule = "plateau"`: factor that multiplies the learning rate at each '
        "plateau.",
    )
    plateau_patience: int = Field(
        2,
        ge=1,
        description='With `schedule = "plateau"`: number of successive validations without '
        "improvement that count as a plateau.",
    )
    clip: float = Field(
        1.0,
        ge=0,
        description="Maximum gradient norm. Gradient clipping scales a larger gradient down to "
        "this norm. 0 turns clipping off.",
    )
    label_smoothing: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Label smoothing: fraction of the target probability that is spread evenly "
        "over all tokens or labels. 0 turns label smoothing off.",
    )
    class_weights: str | dict[str, float] | None = Field(
        None,
        description="Weights of the labels in the loss, for labels of unequal frequency. "
        "`balanced`: by the inverse of the frequency, so that all labels count the same in total. "
        "A table such as `{ spam = 5.0 }`: these weights, and 1 for other labels.",
        examples=["balanced"],
        json_schema_extra=_WITH_LABELS,
    )
    word_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Word dropout: probability that training replaces an input token of the source "
        "or target by `<unk>`. 0 turns word dropout off.",
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        description="R-Drop (Liang et al. 2021): weight of the divergence between two forward "
        "passes with different dropout masks. R-Drop doubles the time of an update. 0 turns R-Drop "
        "off.",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay rate of an exponential moving average (EMA) of the weights. Validation "
        "and the final model then use the averaged weights. 0 turns averaging off.",
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Maximum number of epochs, which are passes over the training set.",
        examples=[10],
    )
    updates: int | None = Field(
        None, ge=1, description="Maximum number of updates of the weights.", examples=[100_000]
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="Maximum time for training and validation, in minutes. A resumed run also "
        "counts the minutes before its interruption.",
        examples=[60.0],
    )
    patience: int = Field(
        10,
        ge=0,
        description="Early stopping: stop after this number of successive validations without "
        "improvement. 0 turns early stopping off.",
    )
    precision: Precision = Field(
        "auto",
        description="Number format of matrix products. `auto` chooses bf16 if the processor "
        "supports it, and fp32 otherwise.",
    )
    device: str = Field(
        "auto",
        description="Device to train on: `auto` (a GPU if there is one, otherwise the CPU), `cpu`, "
        "or a GPU such as `cuda:0`.",
    )
    threads: int = Field(
        0,
        ge=0,
        description="Number of CPU threads. 0 means the value of `$OMP_NUM_THREADS`, or one thread "
        "per core if that variable is not set.",
    )
    log_every: int = Field(
        50, ge=1, description="Number of updates between two lines of the training log."
    )

    tensorboard: bool = Field(
        False,
        description="Also write the rows of `metrics.jsonl` as TensorBoard scalars, to the folder "
        "`tensorboard` of the run. It needs `pip install 'seq2seq-rnn[tensorboard]'`.",
    )

    @field_validator("class_weights", mode="before")
    @classmethod
    def _are_weights(cls, value: object) -> object:
        table = isinstance(value, dict) and all(
            isinstance(weight, int | float) and not isinstance(weight, bool) and 0 < weight < inf
            for weight in value.values()
        )
        if value is None or value == "balanced" or table:
            return value
        raise ValueError(
            f"must be 'balanced' or a table of labels and weights above 0, but is {value!r}"
        )

    @model_validator(mode="after")
    def _ends(self) -> TrainingConfig:
        if self.epochs is None and self.updates is None and self.minutes is None:
            raise ValueError("no limit is set: set the key epochs, updates or minutes")
        return self


class ValidationConfig(Section):
    """Validation: how often the model is scored on the validation set, and by which metric. The
    weights with the best score become the final model."""

    every: int = Field(
        0,
        ge=0,
        description="Number of updates between two validations. 0 means one validation after each "
        "epoch.",
    )
    metric: Literal[
        "bleu", "chrf", "ter", "accuracy", "exact-match", "wer", "ser", "loss", "perplexity"
    ] = Field(
        "bleu",
        description="Metric that decides which weights are best: `bleu`, `chrf`, `ter`, "
        "`accuracy`, `exact-match`, `wer` (lines with an error), `ser` (errors per 100 symbols), "
        "`loss` or `perplexity`. Targets of `symbols`: `wer`. Ties: lower loss wins.",
    )
    set: str = Field(
        "",
        description="Name of the validation set that chooses the best weights, if `data.valid` "
        "names several. If empty, the first set chooses them.",
        examples=["news"],
    )
    tokenize: Literal["auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "none"] = Field(
        "auto",
        description="Tokenizer of sacreBLEU for BLEU. `auto` follows the script of the references: "
        "`13a` for text with spaces between words, `zh` for Chinese, `ja-mecab` or `char` for "
        "Japanese. `none` splits at spaces only, for tokenized text.",
        json_schema_extra=_TEXT_TO_TEXT,
    )
    beam: int = Field(
        1,
        ge=1,
        description="For metrics of translations, such as `bleu`: beam size for translating the "
        "validation set. 1 means greedy search.",
        json_schema_extra=_TEXT_TO_TEXT,
    )
    lines: int = Field(
        0,
        ge=0,
        description="For metrics of translations, such as `bleu`: number of pairs to translate, "
        "from the start of each validation set. 0 means all pairs.",
        json_schema_extra=_TEXT_TO_TEXT,
    )


def _writes_symbols(tokenizer: object) -> bool:
    """Return whether the target consists of symbols, given the values of `[tokenizer]`."""
    if isinstance(tokenizer, TokenizerConfig):
        return tokenizer.of("target").kind == "symbols"
    if not isinstance(tokenizer, dict):
        return False
    target = tokenizer.get("target")
    own = target.kind if isinstance(target, SideConfig) else None
    own = target.get("kind") if isinstance(target, dict) else own
    return (own or tokenizer.get("kind")) == "symbols"


def _with_default(values: dict[str, Any], section: str, key: str, value: object) -> dict[str, Any]:
    """Return the values of a configuration with a default value for a key that is not set."""
    known = values.get(section, {})
    return values | {section: {key: value, **known}} if isinstance(known, dict) else values


def _as_task(value: object) -> object:
    return value if isinstance(value, Task) else find_task(str(value))


class Config(Section):
    """A complete configuration. It consists of the top-level keys and of one section for each part
    of the model and of the training."""

    task: Annotated[
        InstanceOf[Task],
        BeforeValidator(_as_task),
        PlainSerializer(lambda task: task.name, return_type=str),
    ] = Field(
        TRANSLATION,
        description="What the model does. The task determines which sections and keys a "
        "configuration has. `seq2seq config TASK` prints all keys of a task.",
    )
    seed: int = Field(
        1,
        ge=0,
        description="Random seed. It determines the initial weights, the order of the batches, "
        "dropout and all other random choices.",
    )
    license: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.+-]*$",
        description="Licence that the model card states, as an identifier of the Hugging Face hub "
        "such as `mit` or `apache-2.0`. The licence has no effect on training.",
        examples=["cc-by-4.0"],
    )
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    encoder: EncoderConfig = EncoderConfig()
    context: ContextConfig = ContextConfig()
    decoder: DecoderConfig = DecoderConfig()
    training: TrainingConfig
    validation: ValidationConfig = ValidationConfig()

    @property
    def selecting_set(self) -> str:
        """The name of the validation set that chooses the weights; "" if it has no name."""
        return self.validation.set or next(iter(self.data.valid_sets))

    @property
    def unused_sections(self) -> set[str]:
        """The names of the sections that the task does not use."""
        return {"encoder", "context", "decoder"} - set(self.task.sections)

    @model_validator(mode="before")
    @classmethod
    def _fill_task_defaults(cls, values: Any) -> Any:
        if isinstance(values, dict):
            task = values.get("task", TRANSLATION)
            task = TASKS.get(task) if isinstance(task, str) else task
            defaults = task.defaults if isinstance(task, Task) else {}
            for name, known in defaults.items():
                section = values.get(name, {})
                if isinstance(section, dict):
                    values = values | {name: {**known, **section}}
            metrics = task.allowed["validation.metric"] if isinstance(task, Task) else ()
            if "wer" in metrics and _writes_symbols(values.get("tokenizer")):
                values = _with_default(values, "validation", "metric", "wer")
        return values

    @model_validator(mode="after")
    def _check_combinations(self) -> Config:
        if problems := [*self._problems_with_task(), *self._problems_between_sections()]:
            raise ValueError("; ".join(problems))
        return self

    def _problems_with_task(self) -> Iterator[str]:
        task = self.task
        for name in sorted(self.unused_sections & self.model_fields_set):
            yield f"task {task.name!r} has no section [{name}]: leave it out"
        for key, allowed in task.allowed.items():
            section, name = key.split(".")
            value = getattr(getattr(self, section), name)
            if value in allowed:
                continue
            if key == "tokenizer.joint" and self.tokenizer.sides_differ:
                yield (
                    f"task {task.name!r} needs one kind of tokens: set the keys of [tokenizer], "
                    "not those of [tokenizer.source] or [tokenizer.target]"
                )
                continue
            known = " or ".join(_as_toml(choice) for choice in allowed)
            yield f"task {task.name!r} does not allow {key} = {_as_toml(value)}: use {known}"
        sets, chosen = list(self.data.valid_sets), self.validation.set
        if chosen and chosen not in sets:
            known = ", ".join(filter(None, sets)) or "none, because [data.valid] is not a table"
            yield f"validation.set: no validation set {chosen!r} in data.valid; known sets: {known}"
        if task.has_target_text and self.training.class_weights is not None:
            yield f"task {task.name!r} predicts no labels: leave out training.class_weights"
        if task.has_source and not self.data.source:
            yield "data.source is empty: set the file ending or the column of the source"

    def _problems_between_sections(self) -> Iterator[str]:
        encoder, decoder, task = self.encoder, self.decoder, self.task
        if decoder.tied == "all" and "all" in task.allowed.get("decoder.tied", ("all",)):
            if not self.tokenizer.joint:
                yield "decoder.tied = 'all' needs tokenizer.joint = true"
            if encoder.embedding != decoder.embedding:
                yield "decoder.tied = 'all' needs encoder.embedding = decoder.embedding"
        if not task.has_source:
            states = decoder.hidden * (2 if decoder.bidirectional else 1)
            if decoder.tied == "output" and decoder.embedding != states:
                yield (
                    f"decoder.tied = 'output' needs decoder.embedding = {states}, the size of a "
                    "decoder state; or set decoder.tied = 'none'"
                )
            if self.training.window > self.training.batch_tokens:
                yield "training.batch_tokens must not be smaller than training.window"
        if self.context.kind == "dot" and encoder.state_size != decoder.hidden:
            yield (
                f"context.kind = 'dot' needs decoder.hidden = {encoder.state_size}, the size of an "
                "encoder state"
            )
        if self.tokenizer.sampling and not any(
            self.tokenizer.of(side).has_subwords for side in _SIDES
        ):
            yield "tokenizer.sampling needs tokenizer.kind = 'unigram' or 'bpe'"


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
