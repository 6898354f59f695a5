"""The JSON schemas of requests and answers under /v1, except those for translation."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from seq2seq.decoding.options import MOST_PENALTY
from seq2seq.serve.schemas import (
    LONGEST_OUTPUT,
    NUMBER,
    WHOLE,
    Flag,
    NoteAnswer,
    RequestBody,
    SamplingFields,
    Words,
)


def _label_or_vector(value: Any) -> Any:
    numbers = isinstance(value, list) and all(
        isinstance(number, int | float) and not isinstance(number, bool) for number in value
    )
    if not (value is None or isinstance(value, str) or numbers):
        raise ValueError("must be a label (a text) or a vector (an array of numbers)")
    return value


class LabelRequest(RequestBody):
    """The body of POST /v1/tag and POST /v1/classify."""

    model: str | None = Field(None, description="Name of the model to use.")
    texts: list[str] = Field(min_length=1, description="Texts to label.")
    probabilities: Flag = Field(
        False, description="Whether to return the probabilities of all labels."
    )


class LabelAnswer(BaseModel):
    """A label. probabilities: the probability of every label, if they were requested."""

    label: str
    probability: float
    probabilities: dict[str, float] | None


class TaggedText(BaseModel):
    """The words of a text, and one tag for each."""

    words: list[str]
    tags: list[LabelAnswer]
    notes: list[NoteAnswer]


class TagAnswer(BaseModel):
    """The answer of POST /v1/tag."""

    model: str
    texts: list[TaggedText]


class ClassifiedText(BaseModel):
    """The label of a text, or null for a blank text."""

    label: LabelAnswer | None
    notes: list[NoteAnswer]


class ClassifyAnswer(BaseModel):
    """The answer of POST /v1/classify."""

    model: str
    texts: list[ClassifiedText]


class TextPair(RequestBody):
    """A source and its translation."""

    source: str
    target: str


class ScoreRequest(RequestBody):
    """The body of POST /v1/score."""

    model: str | None = Field(None, description="Name of the model to use.")
    source: str | None = Field(None, description="Code of the language of the source texts.")
    target: str | None = Field(None, description="Code of the language of the translations.")
    pairs: list[TextPair] = Field(
        min_length=1, description="Pairs of a source text and its translation."
    )
    length_penalty: Annotated[float, Field(ge=0, le=MOST_PENALTY), NUMBER] = Field(
        0.0,
        description="Exponent α of the length penalty. The score of a translation is "
        "Σ log p / length^α. With 0, the score is the log-probability.",
    )


class PairScore(BaseModel):
    """The log-probability of a target in nats, and its score.

    Both are 0 if source and target are blank, because the server always translates a blank text as
    a blank text.
    """

    log_probability: float
    score: float


class ScoreAnswer(BaseModel):
    """The answer of POST /v1/score."""

    model: str
    scores: list[PairScore]


class GenerateRequest(SamplingFields):
    """The body of POST /v1/generate."""

    model: str | None = Field(None, description="Name of the model to use.")
    prompt: str | None = Field(None, description="Text for a language model to continue.")
    given: Annotated[str | list[float] | None, BeforeValidator(_label_or_vector)] = Field(
        None, description="Label or vector for which a generator model writes texts."
    )
    number: Annotated[int, Field(ge=1, le=20), WHOLE] = Field(
        1, description="Number of texts that a generator model writes."
    )
    max_length: Annotated[int, Field(ge=1, le=LONGEST_OUTPUT), WHOLE] = Field(
        200, description="Maximum length of a generated text in tokens."
    )
    stop: Words = Field([], description="Strings at which a generated text ends.")
    stream: Flag = Field(
        False, description="Whether a language model sends its text piece by piece."
    )


class GeneratedText(BaseModel):
    """A generated text. score: Σ log p / length, or null for a language model."""

    text: str
    score: float | None


class GenerateAnswer(BaseModel):
    """The answer of POST /v1/generate."""

    model: str
    texts: list[GeneratedText]


class PerplexityRequest(RequestBody):
    """The body of POST /v1/perplexity."""

    model: str | None = Field(None, description="Name of the model to use.")
    text: str = Field(
        description="Text for which the server computes the perplexity. The text may have several "
        "lines."
    )


class PerplexityAnswer(BaseModel):
    """The answer of POST /v1/perplexity.

    perplexity: exp(loss). null if the text has no tokens.
    loss: the mean negative log-likelihood, in nats per token.
    unknown_share: the fraction of tokens that the vocabulary lacks.
    """

    model: str
    perplexity: float | None
    loss: float | None
    tokens: int
    unknown_share: float


class ModelAnswer(BaseModel):
    """A model of the server.

    attention: whether translations have alignments.
    features: "line" if each text has features of the whole line after a tab, "word" if each text
        has features of each word after a tab. null if the model reads no features.
    splits_sentences: whether a request may set `split_sentences`.
    labels: the labels that the model predicts or takes as its input.
    paths: the paths of the server that can use the model.
    """

    name: str
    task: str
    source: str | None
    target: str | None
    attention: bool
    features: str | None
    splits_sentences: bool
    labels: list[str]
    paths: list[str]


class PairAnswer(BaseModel):
    """A pair of languages. models: the models that translate it, one after the other."""

    source: str
    target: str
    models: list[str]
    pivot: str | None


class ModelsAnswer(BaseModel):
    """The answer of GET /v1/models."""

    models: list[ModelAnswer]
    pairs: list[PairAnswer]
