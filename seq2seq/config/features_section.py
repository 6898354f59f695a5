"""The section [features]: what the features of the source look like."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from seq2seq.config.section import TEXT_TO_TEXT, Section


class FeaturesConfig(Section):
    """This section describes the features of the source, which `data.features` names. Features are,
    for example, the grammatical features of the form to write, the part of speech of each word, or
    a language tag. Each feature has its own embedding. The order of the features does not
    matter."""

    separator: str = Field(
        ";",
        description="String between two features. Features in brackets are nested: `N;ABL(PL)` has "
        "the features `N`, `ABL` and `ABL(PL)`. Commas also separate nested features.",
        json_schema_extra=TEXT_TO_TEXT,
    )
    per: Literal["line", "word"] = Field(
        "line",
        description="What the features describe. `line`: the whole source; the encoder reads them "
        "as tokens before the source. `word`: single words; their embeddings are added to those of "
        "the word, and spaces in the data separate the features of two words.",
        json_schema_extra=TEXT_TO_TEXT,
    )

    @property
    def joiner(self) -> str:
        """What stands between the items of a list of features: words, or features of a line."""
        return " " if self.per == "word" else self.separator

    @model_validator(mode="after")
    def _separates(self) -> FeaturesConfig:
        if not self.separator or any(mark in self.separator for mark in "\t\n\r()"):
            raise ValueError(
                f"separator: {self.separator!r} cannot separate features; use a string such as ';' "
                "without tabs, line ends and brackets"
            )
        if self.per == "word" and " " in self.separator:
            raise ValueError(
                "separator: with per = 'word', spaces separate the features of two words; use "
                "another string between two features of one word, such as '|'"
            )
        return self
