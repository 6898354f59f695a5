"""The section [data]: the data sets, and the choice of training examples."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from seq2seq.config.section import FOR_LANGUAGE_MODELS, TEXT_TO_TEXT, WITH_A_SOURCE, Section

# A key of the pydantic validation context. If its value is true, `data.train` or `data.hub` must be
# set, because the training set is read from there.
NEEDS_FILES = "needs_files"


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
    """This section names the data sets and sets the rules that decide which training examples are
    used.

    The keys `train`, `valid` and `test` name data sets. For two parallel files, give a list of
    both files, source first, or their common prefix. With `source = "de"`, the prefix
    `"corpus/train"` stands for the source file `corpus/train.de` or `corpus/train.de.gz`. A data
    set can also be one table: a `.tsv`, `.csv`, `.jsonl`, `.conllu`, `.tmx` or `.parquet` file, or
    any other file whose first line contains a tab. For a language model, give one text file or one
    table. All files except `.parquet` files may be compressed (`.gz`, `.xz`, `.bz2`, `.zst`).

    A relative path is looked up in the folder of the configuration first, then in
    `$SEQ2SEQ_DATA`.
    """

    source: str = Field(
        description="Name of the source, usually a language code such as `de`. Source files end "
        "in this name, tables have the source in the column of this name, and in TMX it is the "
        "source language.",
    )
    target: str = Field(
        min_length=1,
        description="Name of the target, usually a language code such as `en`. Target files end "
        "in this name, tables have the target in the column of this name, and in TMX it is the "
        "target language. See also `validation.tokenize`.",
    )
    train: str | list[str] | None = Field(
        None,
        description="Path of the training set. Set either this key or the key `hub`.",
    )
    valid: _ValidationSets = Field(
        None,
        description="Path of the validation set, which decides which weights are best. Set this "
        "key or `hub`. For several validation sets, write a table of names and paths, "
        "`[data.valid]`. The first set then decides, unless `validation.set` names another set.",
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
        json_schema_extra=WITH_A_SOURCE,
    )
    target_column: str | int | None = Field(
        None,
        description="Column of the target in a table. Set this key if the name of the column "
        "differs from `target`. Write the value in the same way as `source_column`.",
        examples=[2],
    )
    features: str | int | None = Field(
        None,
        description="Column of the features of the source in a table, or the ending of their text "
        "files. Write the value in the same way as `source_column`. The section `[features]` "
        "explains features. Without this key, the model reads no features.",
        examples=[3],
        json_schema_extra=TEXT_TO_TEXT,
    )
    quoting: Literal["auto", "none", "csv"] = Field(
        "auto",
        description="Quotation marks in TSV and CSV files. `csv`: they enclose values, as RFC "
        "4180 defines. `none`: they are part of the text. `auto` means `csv` for CSV files and "
        "for TSV files in which all quotation marks follow RFC 4180.",
    )
    references: list[str | int] = Field(
        [],
        description="Further references of the validation and test sets, besides `target`: the "
        "file endings of their text files, or the names of their columns in a table. All scores "
        "of translations use them. The training set has no further references.",
        json_schema_extra=TEXT_TO_TEXT,
    )
    alternatives: str = Field(
        "",
        description="String that separates several correct targets in one line, such as `;`. In "
        "the training set, each target becomes a pair of its own. In validation and test sets, "
        "the targets become several references. If empty, each line is one target.",
        examples=[";"],
        json_schema_extra=TEXT_TO_TEXT,
    )
    merge_sources: bool = Field(
        False,
        description="Merge the rows of a validation or test set that have the same source. The "
        "targets of these rows become several references, so an output is correct if it equals "
        "one of them.",
        json_schema_extra=TEXT_TO_TEXT,
    )
    hub: str | None = Field(
        None,
        description="Dataset of the Hugging Face hub: its id, or the path of a local folder. The "
        "dataset provides the training, validation or test set if `train`, `valid` or `test` "
        "names no file.",
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
        le=1_000_000,
        description="Maximum length of a source or target text in subwords. Training drops every "
        "pair with a longer text. Translation splits longer lines into parts.",
        json_schema_extra=WITH_A_SOURCE,
    )
    max_ratio: float = Field(
        0.0,
        ge=0,
        description="Maximum length ratio of a training pair: the length of the longer text in "
        "subwords, divided by the length of the shorter text. Training drops pairs with a larger "
        "ratio. 0 means no limit.",
        json_schema_extra=WITH_A_SOURCE,
    )
    drop_duplicates: bool = Field(
        True,
        description="Drop every training pair that is equal to an earlier pair.",
        json_schema_extra=WITH_A_SOURCE,
    )
    line_ends: bool = Field(
        True,
        description="Language model: append the token `</s>` to each line of text. If false, lines "
        "follow each other without a separating token.",
        json_schema_extra=FOR_LANGUAGE_MODELS,
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
                    f"{name}: a list must name two files, the source file first, but this list "
                    f"names {len(value)}"
                )
        for name in self.valid_sets:
            if name in ("train", "valid", "test") or not re.fullmatch(r"[\w.-]*", name):
                raise ValueError(
                    f"valid: {name!r} cannot name a validation set; use letters, digits, '_', '.' "
                    "and '-', and not the names 'train', 'valid' and 'test'"
                )
        for side in ("source", "target"):
            column = getattr(self, f"{side}_column")
            if self.features == (getattr(self, side) if column is None else column):
                key = side if column is None else f"{side}_column"
                raise ValueError(f"features and {key} name the same column, {self.features!r}")
        if isinstance(self.valid, dict) and not self.valid:
            raise ValueError("valid: the table is empty; name at least one validation set")
        return self

    @property
    def valid_sets(self) -> dict[str, str | list[str] | None]:
        """The validation sets by name. The name of an unnamed set is the empty string."""
        if isinstance(self.valid, dict):
            return dict(self.valid)
        return {"": self.valid}
