"""The whole configuration in one place: what may be set, what it means, what it is by default.

A configuration has `task`, `seed` and the sections below (`seq2seq.config.toml` reads it).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    model_validator,
)

from seq2seq.tasks import TASKS, TRANSLATION, Task, find_task

Cell = Literal["rnn", "rnn-relu", "lstm", "gru"]  # "rnn": with tanh
Precision = Literal["auto", "fp32", "bf16"]
_Beta = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
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
    def _has_training_pairs(self) -> DataConfig:
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
    # "label" and "vector": the source is one label, or one vector of `vector_size` numbers.
    kind: Literal["recurrent", "label", "vector"] = "recurrent"
    vector_size: int = Field(3, ge=1)
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
    def state_size(self) -> int:
        """D, the size of a state."""
        return self.hidden * (2 if self.bidirectional else 1)


class ContextConfig(Section):
    """The context vector c: one for the whole target, or attention, a new one for every step."""

    # "same-position": c_t is the encoder's state at position t; both sides have one length.
    kind: Literal[
        "fixed", "same-position", "additive", "dot", "general", "cosine", "multi-head"
    ] = "cosine"
    # Attention: "parallel", the first decoder layer asks, those above it and the output layer are
    # fed the answer c_t; "classic", its state of the step before asks, and all layers are fed c_t.
    placement: Literal["parallel", "classic"] = "parallel"
    shortcut: bool = True  # c is made of means of states and embeddings, not of states alone
    # The summary of the source: the fixed c, and what starts a decoder with attention.
    pooling: Literal["last", "mean", "max", "attentive"] = "attentive"
    heads: int = Field(8, ge=1)  # of multi-head attention, and of attentive pooling
    size: int = Field(512, ge=1)  # of c, and of the summary

    @property
    def is_attention(self) -> bool:
        """Whether this is attention."""
        return self.kind not in ("fixed", "same-position")

    @model_validator(mode="after")
    def _heads_fit(self) -> ContextConfig:
        if self.kind == "multi-head" and self.size % self.heads:
            raise ValueError(
                f"size {self.size} cannot be parted among {self.heads} heads: set a multiple"
            )
        if not self.is_attention and self.placement == "classic":
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
    ema_decay: float = Field(0.0, ge=0, lt=1)  # exponential average of the weights; 0: off
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


def _as_task(value: object) -> object:
    return value if isinstance(value, Task) else find_task(str(value))


class Config(Section):
    task: Annotated[
        InstanceOf[Task],
        BeforeValidator(_as_task),
        PlainSerializer(lambda task: task.name, return_type=str),
    ] = TRANSLATION
    seed: int = Field(1, ge=0)
    data: DataConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    encoder: EncoderConfig = EncoderConfig()
    context: ContextConfig = ContextConfig()
    decoder: DecoderConfig = DecoderConfig()
    training: TrainingConfig
    validation: ValidationConfig = ValidationConfig()

    @property
    def unused_sections(self) -> set[str]:
        """The sections that the task has no use for."""
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
        return values

    @model_validator(mode="after")
    def _check_combinations(self) -> Config:
        if problems := [*self._problems_with_task(), *self._problems_between_sections()]:
            raise ValueError("; ".join(problems))
        return self

    def _problems_with_task(self) -> Iterator[str]:
        task = self.task
        for name in sorted(self.unused_sections & self.model_fields_set):
            yield f"[{name}] is not for task {task.name!r}: leave it out"
        for key, allowed in task.allowed.items():
            section, name = key.split(".")
            value = getattr(getattr(self, section), name)
            if value in allowed:
                continue
            known = " or ".join(_as_toml(choice) for choice in allowed)
            yield f"{key} = {_as_toml(value)} is not for task {task.name!r}: use {known}"
        if task.has_source and not self.data.source:
            yield "data.source: say what the source is, its language or its column"

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
                    "state; or set decoder.tied = 'none'"
                )
            if self.training.window > self.training.batch_tokens:
                yield "training.batch_tokens holds not one training.window"
        if self.context.kind == "dot" and encoder.state_size != decoder.hidden:
            yield (
                f"context.kind = 'dot' needs decoder.hidden = {encoder.state_size}, the size of an "
                "encoder state"
            )
        if self.tokenizer.sampling and self.tokenizer.kind not in ("unigram", "bpe"):
            yield "tokenizer.sampling needs kind 'unigram' or 'bpe'"


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
