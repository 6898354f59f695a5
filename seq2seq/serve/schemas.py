"""The JSON schemas of requests to translate under /v1, and of the answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from seq2seq.decoding.options import MOST_PENALTY

MOST_BEAM = 16
LONGEST_OUTPUT = 400  # tokens


def _whole(value: Any) -> Any:
    """Raise ValueError for true, false and text. Otherwise return the value, such as 3 or 3.0."""
    if isinstance(value, bool | str):
        raise ValueError("must be a whole number")
    return value


def _number(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("must be a number")
    return value


def _flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


WHOLE, NUMBER = BeforeValidator(_whole), BeforeValidator(_number)
Flag = Annotated[bool, BeforeValidator(_flag)]
Words = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]], Field(max_length=20)
]


class RequestBody(BaseModel):
    """A request body, which refuses unknown keys."""

    model_config = ConfigDict(extra="forbid")


class SamplingFields(RequestBody):
    """The sampling options of a request."""

    temperature: Annotated[float, Field(gt=0, le=100), NUMBER] = Field(
        1.0, description="Sampling temperature. A value below 1 makes likely tokens even likelier."
    )
    top_k: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = Field(
        0, description="Number of most likely tokens to sample from. 0 keeps all tokens."
    )
    top_p: Annotated[float, Field(gt=0, le=1), NUMBER] = Field(
        1.0,
        description="Sample only from the most likely tokens whose probabilities together reach "
        "this value (nucleus sampling).",
    )
    seed: Annotated[int, Field(ge=0, le=2**31), WHOLE] = Field(
        1, description="Random seed for sampling."
    )


class SearchFields(SamplingFields):
    """The options of a translation request."""

    beam: Annotated[int, Field(ge=1, le=MOST_BEAM), WHOLE] | None = Field(
        None,
        description="Beam size. 1 means greedy search. A beam size below n_best is raised to "
        "n_best. An option of the server sets the default. Sampling ignores the beam size.",
    )
    n_best: Annotated[int, Field(ge=1, le=MOST_BEAM), WHOLE] = Field(
        1, description="Number of hypotheses to return for each text."
    )
    length_penalty: Annotated[float, Field(ge=0, le=MOST_PENALTY), NUMBER] = Field(
        1.0,
        description="Exponent α of the length penalty. The score of a hypothesis is "
        "Σ log p / length^α.",
    )
    max_length: Annotated[int, Field(ge=1, le=LONGEST_OUTPUT), WHOLE] | None = Field(
        None, description="Maximum length of a translation in subwords."
    )
    min_length: Annotated[int, Field(ge=1, le=LONGEST_OUTPUT), WHOLE] = Field(
        1,
        description="Minimum length of a translation in subwords. If it exceeds max_length, "
        "max_length applies, and a note says so.",
    )
    sampling: Flag = Field(False, description="Sample translations instead of using beam search.")
    split_sentences: Flag = Field(
        False,
        description="Translate each sentence of a text separately, and join the translations.",
    )
    protect: Flag = Field(
        False,
        description="Copy placeholders, tags, URLs, e-mail addresses and numbers unchanged into "
        "the translation.",
    )
    forbid: Words = Field([], description="Phrases that must not occur in a translation.")
    alignments: Flag = Field(
        False,
        description="Whether to return the attention weights of the best translation of each text.",
    )


class RouteFields(RequestBody):
    """The fields that choose the models of a request, by name or by languages."""

    model: str | None = Field(None, description="Name of the model to use.")
    source: str | None = Field(
        None,
        description='Code of the source language. "auto" detects the language from all texts '
        "together.",
    )
    target: str | None = Field(None, description="Code of the target language.")


class TranslateRequest(SearchFields, RouteFields):
    """The body of POST /v1/translate."""

    texts: list[str] = Field(
        min_length=1,
        description="Texts to translate. A line break in a text counts as a space.",
    )


class StreamRequest(SearchFields, RouteFields):
    """The body of POST /v1/translate/stream."""

    text: str = Field(description="Text to translate. The text may have several lines.")


class NoteAnswer(BaseModel):
    """A note of the server about a text, such as a warning.

    kind: the subject, such as "split", "cut" or "unknown tokens".
    """

    kind: str
    text: str


class HypothesisAnswer(BaseModel):
    """A translation with its score, Σ log p / length^α, and its log-probability in nats."""

    text: str
    score: float
    log_probability: float


class AlignmentAnswer(BaseModel):
    """The attention weights of a translation.

    source_tokens, target_tokens: the subwords.
    source_words, target_words: for each subword, the number of its word. Words are separated by
        white space and counted from 0. A subword outside all words has null.
    weights: one row for each target token, with one weight for each source token.
    """

    source_tokens: list[str]
    target_tokens: list[str]
    source_words: list[int | None]
    target_words: list[int | None]
    weights: list[list[float]]


class TextAnswer(BaseModel):
    """The translation of a text. hypotheses: the n-best list, best first."""

    text: str
    score: float
    hypotheses: list[HypothesisAnswer]
    alignment: AlignmentAnswer | None
    notes: list[NoteAnswer]


class LineAnswer(TextAnswer):
    """An event of a stream: the translation of a line. line: its number, counted from 1."""

    line: int


class TranslateAnswer(BaseModel):
    """The answer of POST /v1/translate.

    models: the models that translated the texts, one after the other.
    pivot: the language between two models, or null.
    detected: the confidence in percent with which the server detected `source`, or null.
    """

    models: list[str]
    source: str | None
    target: str | None
    pivot: str | None
    detected: float | None
    translations: list[TextAnswer]


class ErrorAnswer(BaseModel):
    """The answer to every request that fails."""

    error: str


StreamEvent = Literal["line", "piece", "done", "error"]
"""The names of the events of a stream."""
