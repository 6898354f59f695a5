"""The whole configuration in one place: what may be set, what it means, what it is by default.

A configuration has `shape`, `seed` and the sections below (`seq2seq.config_file` reads it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Shape = Literal["translation", "language-model", "classification", "tagging", "generation"]
Cell = Literal["rnn", "rnn-relu", "lstm", "gru"]  # "rnn": with tanh
Precision = Literal["auto", "fp32", "bf16"]
_Beta = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(Section):
    """Where the pairs come from, and which of them are kept; for a language model, the text.

    `train`, `valid` and `test` each name either
    - a prefix of two parallel files, completed with the languages: `"corpus/train"` with
      `source = "de"` is `corpus/train.de` or `corpus/train.de.gz`,
    - a list of two files, source first, or
    - one table: `.tsv`, `.jsonl`, `.conllu` (each may end in `.gz`) or `.parquet`, with the columns
      `source_column` and `target_column`.
    Where the file is not found, `hub` (an id on the Hugging Face hub, or a local folder) is read.

    A language model has no `source`. Its splits name a text file (`.gz` may be left out) or a
    table with the column `target` ("text"); every line is kept.
    """

    source: str
    target: str = Field(min_length=1)
    train: str | list[str] | None = None
    valid: str | list[str] | None = None
    test: str | list[str] | None = None
    # Columns of a table or a hub dataset; by default the languages. A number counts from 1 and is
    # for TSV without a header; a dot enters a nested column ("translation.de").
    source_column: str | int | None = None
    target_column: str | int | None = None
    hub: str | None = None
    hub_config: str | None = None
    hub_splits: dict[Literal["train", "valid", "test"], str] = {
        "train": "train",
        "valid": "validation",
        "test": "test",
    }
    max_tokens: int = Field(
        256, ge=1
    )  # a training pair with a longer side (in subwords) is dropped
    max_ratio: float = Field(0.0, ge=0)  # longer side over shorter side, in subwords; 0: no limit
    drop_duplicates: bool = True
    line_ends: bool = True  # language model: each line ends with </s>; false: the text runs on

    @model_validator(mode="after")
    def _has_training_pairs(self) -> Data:
        if self.train is None and self.hub is None:
            raise ValueError("set train (files) or hub (a Hugging Face dataset)")
        for name in ("train", "valid", "test"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != 2:
                raise ValueError(f"{name} must be a prefix, one table, or a list of two files")
        return self


class TokenizerConfig(Section):
    """The subword vocabulary (SentencePiece)."""

    kind: Literal["unigram", "bpe", "char", "word"] = "unigram"
    vocabulary: int = Field(8000, ge=8)
    joint: bool = True  # one vocabulary for both sides, or one each of the same size
    byte_fallback: bool = True  # no character is unknown: rare ones are spelled in bytes
    character_coverage: float = Field(0.9995, gt=0, le=1)
    lowercase: bool = False
    # What SentencePiece does to characters first: compatibility forms folded, or nothing.
    normalization: Literal["nmt_nfkc", "identity"] = "nmt_nfkc"
    sampling: float = Field(0.0, ge=0, le=1)  # unigram: smoothing alpha; bpe: dropout; 0: off
    sample_lines: int = Field(1_000_000, ge=1)  # pairs that the vocabulary is learned from


class EncoderConfig(Section):
    # Shape "generation" has a label or a vector for a source.
    kind: Literal["recurrent", "label", "vector"] = "recurrent"
    numbers: int = Field(3, ge=1)  # in a vector
    cell: Cell = "gru"
    embedding: int = Field(256, ge=1)
    hidden: int = Field(256, ge=1)  # per direction
    layers: int = Field(1, ge=1)
    bidirectional: bool = True
    dropout: float = Field(0.2, ge=0, lt=1)  # between layers and on what leaves the stack
    embedding_dropout: float = Field(0.2, ge=0, lt=1)
    variational: bool = False  # one dropout mask for all time steps of a sentence
    layer_norm: bool = False  # of what leaves each layer

    @property
    def state(self) -> int:
        """D, the size of a state."""
        return self.hidden * (2 if self.bidirectional else 1)


class ContextConfig(Section):
    """The context vector c: one for the whole target, or attention, a new one for every step."""

    # "aligned": the encoder's state at the place that is written; both sides are of one length.
    kind: Literal["fixed", "aligned", "additive", "dot", "general", "cosine", "multi-head"] = (
        "cosine"
    )
    # Attention: "parallel", the first decoder layer asks, those above it and the output layer are
    # fed the answer c_t; "classic", its state of the step before asks, and all layers are fed c_t.
    placement: Literal["parallel", "classic"] = "parallel"
    shortcut: bool = True  # c is made of means of states and embeddings, not of states alone
    # The summary of the source: the fixed c, and what starts a decoder with attention.
    pooling: Literal["last", "mean", "max", "attentive"] = "attentive"
    heads: int = Field(8, ge=1)  # of multi-head attention, and of attentive pooling
    size: int = Field(512, ge=1)  # of c, and of the summary

    @property
    def asked(self) -> bool:
        """Whether this is attention."""
        return self.kind not in ("fixed", "aligned")

    @model_validator(mode="after")
    def _heads_fit(self) -> ContextConfig:
        if self.kind == "multi-head" and self.size % self.heads:
            raise ValueError(
                f"size {self.size} cannot be parted among {self.heads} heads: set a multiple"
            )
        if not self.asked and self.placement == "classic":
            raise ValueError(
                f"placement 'classic' is for attention: leave it out for kind {self.kind!r}"
            )
        return self


class DecoderConfig(Section):
    cell: Cell = "gru"
    embedding: int = Field(256, ge=1)
    hidden: int = Field(512, ge=1)
    layers: int = Field(1, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)  # between layers and before the output layer
    embedding_dropout: float = Field(0.2, ge=0, lt=1)
    variational: bool = False
    layer_norm: bool = False
    weight_dropout: float = Field(0.0, ge=0, lt=1)  # language model: of those from state to state
    # "output": the target embedding is the output matrix; "all": the source embedding too.
    tied: Literal["none", "output", "all"] = "output"
    bidirectional: bool = False  # language model: it sees what it is to foretell


class TrainingConfig(Section):
    batch_tokens: int = Field(1536, ge=1)  # rows times longest side, padding counted
    # Language model: steps that are learned through at once; batch_tokens / window texts beside
    # each other. "contiguous" windows start from the state that the one before them has left.
    window: int = Field(35, ge=1)
    windows: Literal["contiguous", "random"] = "contiguous"
    accumulate: int = Field(1, ge=1)  # batches an update
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = Field(2e-3, gt=0)
    betas: tuple[_Beta, _Beta] = (0.9, 0.98)
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["inverse-sqrt", "cosine", "plateau", "constant"] = "inverse-sqrt"
    warmup: int = Field(400, ge=0)  # updates of linear warm-up
    plateau_factor: float = Field(0.5, gt=0, lt=1)
    plateau_patience: int = Field(2, ge=1)  # validations without a gain before the rate is cut
    clip: float = Field(1.0, ge=0)  # norm of the gradient; 0: off
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    word_dropout: float = Field(0.0, ge=0, lt=1)  # input tokens replaced by <unk>, both sides
    # Each batch twice, under two draws of dropout, drawn together (R-Drop, Liang et al. 2021): α,
    # how much; 0: off. An update costs twice as much.
    r_drop: float = Field(0.0, ge=0)
    average_decay: float = Field(0.0, ge=0, lt=1)  # exponential average of the weights; 0: off
    epochs: int | None = Field(None, ge=1)
    updates: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)  # added up over resumes
    patience: int = Field(10, ge=0)  # validations without a gain before the end; 0: never
    precision: Precision = "auto"
    device: str = "auto"
    threads: int = Field(0, ge=0)  # 0: $OMP_NUM_THREADS, or all cores
    log_every: int = Field(50, ge=1)  # updates

    @model_validator(mode="after")
    def _ends(self) -> TrainingConfig:
        if self.epochs is None and self.updates is None and self.minutes is None:
            raise ValueError("set a limit: epochs, updates or minutes")
        if self.schedule == "cosine" and self.updates is None and self.epochs is None:
            raise ValueError("schedule 'cosine' needs to know its end: set updates or epochs")
        return self


class ValidationConfig(Section):
    every: int = Field(0, ge=0)  # updates; 0: after each epoch
    # "bleu": sacrebleu's, in tokens that fit the target language ("zh" and others without spaces).
    metric: Literal["bleu", "accuracy", "loss"] = "bleu"
    beam: int = Field(1, ge=1)
    lines: int = Field(0, ge=0)  # the first n validation pairs are translated; 0: all


# What a shape has no use for: refused where it is given, and not written down.
UNUSED: dict[Shape, tuple[str, ...]] = {
    "translation": (),
    "language-model": ("encoder", "context"),
    "classification": ("decoder",),
    "tagging": ("context", "decoder"),
    "generation": (),
}
# What is the same for most of a shape, and need not be said.
_FILLED_IN: dict[str, dict[str, dict[str, str]]] = {
    "language-model": {
        "data": {"source": "", "target": "text"},
        "validation": {"metric": "loss"},
    },
    "classification": {
        "data": {"source": "text", "target": "label"},
        "context": {"kind": "fixed"},
        "validation": {"metric": "accuracy"},
    },
    "tagging": {
        "data": {"source": "form", "target": "upos"},
        "validation": {"metric": "accuracy"},
    },
    "generation": {
        "encoder": {"kind": "label"},
        "context": {"kind": "fixed"},
        "validation": {"metric": "loss"},
    },
}
_METRICS: dict[Shape, tuple[str, ...]] = {
    "translation": ("bleu", "loss"),
    "language-model": ("loss",),
    "classification": ("accuracy", "loss"),
    "tagging": ("accuracy", "loss"),
    "generation": ("loss",),
}


class Config(Section):
    shape: Shape = "translation"
    seed: int = Field(1, ge=0)
    data: Data
    tokenizer: TokenizerConfig = TokenizerConfig()
    encoder: EncoderConfig = EncoderConfig()
    context: ContextConfig = ContextConfig()
    decoder: DecoderConfig = DecoderConfig()
    training: TrainingConfig
    validation: ValidationConfig = ValidationConfig()

    @model_validator(mode="before")
    @classmethod
    def _filled_in(cls, values: Any) -> Any:
        """What is the same for all of a shape need not be said."""
        if isinstance(values, dict):
            for name, known in _FILLED_IN.get(str(values.get("shape")), {}).items():
                given = values.get(name, {})
                if isinstance(given, dict):
                    values = values | {name: known | given}
        return values

    @model_validator(mode="after")
    def _parts_fit(self) -> Config:
        if wrong := [*self._unfit_for_shape(), *self._unfit_for_each_other()]:
            raise ValueError("; ".join(wrong))
        return self

    def _unfit_for_shape(self) -> Iterator[str]:
        shape, context, tied = self.shape, self.context.kind, self.decoder.tied
        for name in UNUSED[shape]:
            if name in self.model_fields_set:
                yield f"[{name}] is not for shape {shape!r}: leave it out"
        if self.validation.metric not in _METRICS[shape]:
            known = " or ".join(map(repr, _METRICS[shape]))
            yield f"validation.metric of shape {shape!r} is {known}"
        if shape == "language-model" and self.data.source:
            yield "data.source is not for shape 'language-model': leave it out"
        if shape != "language-model" and not self.data.source:
            yield "data.source: say what the source is, its language or its column"
        for name in ("bidirectional", "weight_dropout"):
            if shape != "language-model" and getattr(self.decoder, name):
                yield f"decoder.{name} is for shape 'language-model'"
        if shape == "language-model" and self.tokenizer.sampling:
            yield "tokenizer.sampling is not for shape 'language-model'"
        if shape == "language-model" and self.training.r_drop:
            yield "training.r_drop is not for shape 'language-model'"
        if shape != "translation":
            if not self.tokenizer.joint:
                yield "tokenizer.joint = false is for shape 'translation'"
            if tied == "all":
                yield "decoder.tied = 'all' is for shape 'translation'"
        if (self.encoder.kind == "recurrent") == (shape == "generation"):
            yield f"encoder.kind {self.encoder.kind!r} is not for shape {shape!r}"
        if shape in ("classification", "generation") and context != "fixed":
            yield f"context.kind must be 'fixed' for shape {shape!r}"

    def _unfit_for_each_other(self) -> Iterator[str]:
        encoder, decoder = self.encoder, self.decoder
        if self.shape == "translation" and decoder.tied == "all":
            if not self.tokenizer.joint:
                yield "decoder.tied = 'all' needs tokenizer.joint = true"
            if encoder.embedding != decoder.embedding:
                yield "decoder.tied = 'all' needs encoder.embedding = decoder.embedding"
        if self.shape == "language-model":
            states = decoder.hidden * (2 if decoder.bidirectional else 1)
            if decoder.tied == "output" and decoder.embedding != states:
                yield (
                    f"decoder.tied = 'output' needs decoder.embedding = {states}, the size of a "
                    "state; or set decoder.tied = 'none'"
                )
            if self.training.window > self.training.batch_tokens:
                yield "training.batch_tokens holds not one training.window"
        if self.context.kind == "dot" and encoder.state != decoder.hidden:
            yield (
                f"context.kind = 'dot' needs decoder.hidden = {encoder.state}, the size of an "
                "encoder state"
            )
        if self.tokenizer.sampling and self.tokenizer.kind not in ("unigram", "bpe"):
            yield "tokenizer.sampling needs kind 'unigram' or 'bpe'"
