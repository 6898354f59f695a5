"""The whole configuration in one place: what may be set, what it means, what it is by default.

A configuration has `task`, `seed` and the sections below (`seq2seq.config.toml` reads it). The
docstring of a section and the descriptions of its keys are what `seq2seq config` prints
(`seq2seq.config.reference`), so they are written for users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationInfo,
    model_validator,
)

from seq2seq.tasks import TASKS, TRANSLATION, Task, find_task

# The key of a validation context that demands `data.train` or `data.hub`: true where a training set
# is to be read from what the configuration names.
NEEDS_FILES = "needs_files"

Cell = Literal["rnn", "rnn-relu", "lstm", "gru"]
Precision = Literal["auto", "fp32", "bf16"]
_Beta = Annotated[float, Field(ge=0, lt=1)]


def _used_where(uses: Callable[[Task], bool]) -> dict[str, Any]:
    """For a key without effect in some of the tasks that have its section: the tasks that use it,
    as `json_schema_extra`. (A key whose value a task fixes needs none: see `Task.allowed`.)"""
    return {"tasks": [task.name for task in TASKS.values() if uses(task)]}


_FOR_LANGUAGE_MODELS = _used_where(lambda task: not task.has_source)
_WITH_A_SOURCE = _used_where(lambda task: task.has_source)
_FROM_A_CONDITION = _used_where(lambda task: task.source == "condition")
_FROM_TEXT = _used_where(lambda task: task.source in ("text", "words"))
_TEXT_TO_TEXT = _used_where(lambda task: task.source == "text" and task.has_target_text)
_WITH_ATTENTION = _used_where(
    lambda task: task.source == "text" and task.has_target_text and not task.same_length
)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """The corpus: where its examples come from, and which of them are used.

    `train`, `valid` and `test` each name a data set in one of three forms: a prefix of two parallel
    files (with `source = "de"`, `"corpus/train"` reads `corpus/train.de` or `corpus/train.de.gz`);
    a list of two files, source first; or one table (`.tsv`, `.jsonl`, `.conllu`, each also with
    `.gz`, or `.parquet`). A language model reads one text file or one table.

    Paths are looked up from the folder of the configuration, then from `$SEQ2SEQ_DATA`.
    """

    source: str = Field(
        description="The source: the ending of its files (a language code such as `de`) and its "
        "column in a table.",
    )
    target: str = Field(
        min_length=1,
        description="The target: the ending of its files and its column in a table. As a language "
        "code (`zh`), it also decides how BLEU splits text.",
    )
    train: str | list[str] | None = Field(
        None,
        description="Training set. Set it, or set `hub`.",
    )
    valid: str | list[str] | None = Field(
        None,
        description="Validation set. Training needs it, here or in `hub`, to choose the best "
        "weights.",
    )
    test: str | list[str] | None = Field(
        None,
        description="Test set. `seq2seq evaluate` scores it; training does not learn from it.",
    )
    source_column: str | int | None = Field(
        None,
        description="Column of the source, if it is not named like `source`. A dot enters a nested "
        "column (`translation.de`). A number, from 1, is for a TSV file without a header.",
        examples=[1],
        json_schema_extra=_WITH_A_SOURCE,
    )
    target_column: str | int | None = Field(
        None,
        description="Column of the target, if it is not named like `target`; written like "
        "`source_column`.",
        examples=[2],
    )
    hub: str | None = Field(
        None,
        description="Dataset to read where the files above are missing: an id on the Hugging Face "
        "hub, or a local folder.",
        examples=["owner/dataset"],
    )
    hub_config: str | None = Field(
        None,
        description="Configuration of the hub dataset, if it has several.",
        examples=["de-en"],
    )
    hub_splits: dict[Literal["train", "valid", "test"], str] = Field(
        {"train": "train", "valid": "validation", "test": "test"},
        description="What the hub dataset calls each split.",
    )
    max_tokens: int = Field(
        256,
        ge=1,
        description="Training drops pairs with a side longer than this many subwords. When you "
        "translate, longer lines are split.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    max_ratio: float = Field(
        0.0,
        ge=0,
        description="Training drops pairs whose longer side has more than this many times the "
        "subwords of the shorter side. 0: no limit.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    drop_duplicates: bool = Field(
        True,
        description="Drop exact repeats of a training pair.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    line_ends: bool = Field(
        True,
        description="Language model: end each line with `</s>`. false: the text runs on from line "
        "to line.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )

    @model_validator(mode="after")
    def _has_training_pairs(self, info: ValidationInfo) -> DataConfig:
        # A model folder, and data in memory, need none: see `NEEDS_FILES`.
        files_needed = (info.context or {}).get(NEEDS_FILES, False)
        if files_needed and self.train is None and self.hub is None:
            raise ValueError("set train (files) or hub (a Hugging Face dataset)")
        for name in ("train", "valid", "test"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != 2:
                raise ValueError(f"{name} must be a prefix, one table, or a list of two files")
        return self


class TokenizerConfig(Section):
    """The subword vocabulary. SentencePiece learns it from the training set."""

    kind: Literal["unigram", "bpe", "char", "word"] = Field(
        "unigram",
        description="Kind of vocabulary: subwords of a unigram language model, subwords of "
        "byte-pair encoding, characters, or whole words.",
    )
    vocabulary: int = Field(
        8000,
        ge=8,
        description="Size of the vocabulary, special tokens included. `unigram` and `bpe` meet it "
        "exactly; for `char` and `word` it is an upper limit.",
    )
    joint: bool = Field(
        True,
        description="Share one vocabulary between both sides. false: learn one for each side, each "
        "of the size `vocabulary`.",
    )
    byte_fallback: bool = Field(
        True,
        description="Spell characters outside the vocabulary in bytes, so that none is unknown. "
        "For the kinds `unigram` and `bpe`.",
    )
    character_coverage: float = Field(
        0.9995,
        gt=0,
        le=1,
        description="Share of the characters in the training text that the vocabulary covers, from "
        "0 to 1. It leaves out the rarest ones.",
    )
    lowercase: bool = Field(
        False, description="Lower-case all text. The model then writes lower case only."
    )
    normalization: Literal["nmt_nfkc", "identity"] = Field(
        "nmt_nfkc",
        description="How SentencePiece normalises text first: `nmt_nfkc` unifies compatible "
        "characters and white space, `identity` changes nothing.",
    )
    sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Subword regularisation: a new segmentation of the training set in every "
        "epoch. For `unigram`, the smoothing parameter alpha; for `bpe`, the dropout rate. "
        "0: off.",
    )
    sample_lines: int = Field(
        1_000_000,
        ge=1,
        description="Learn the vocabulary from at most this many training pairs or lines. A larger "
        "set is sampled at even intervals.",
    )


class EncoderConfig(Section):
    """The encoder, which reads the source: a recurrent network over text, or an embedding of one
    label or vector."""

    kind: Literal["recurrent", "label", "vector"] = Field(
        "recurrent",
        description="What the source is: `recurrent` reads a text, `label` one label, `vector` one "
        "vector of numbers.",
    )
    vector_size: int = Field(
        3,
        ge=1,
        description='With `kind = "vector"`: how many numbers the vector has.',
        json_schema_extra=_FROM_A_CONDITION,
    )
    cell: Cell = Field(
        "gru",
        description="Recurrent cell. `rnn` is the simple cell with tanh, `rnn-relu` the same with "
        "ReLU.",
        json_schema_extra=_FROM_TEXT,
    )
    embedding: int = Field(
        256,
        ge=1,
        description="Size of the source embeddings; for a vector, of the hidden layer that reads "
        "it.",
    )
    hidden: int = Field(
        256,
        ge=1,
        description="Hidden units of each layer, in each direction.",
        json_schema_extra=_FROM_TEXT,
    )
    layers: int = Field(
        1,
        ge=1,
        description="Recurrent layers. From the second on, each has a residual connection.",
        json_schema_extra=_FROM_TEXT,
    )
    bidirectional: bool = Field(
        True,
        description="Read the source in both directions. Each encoder state is then twice as "
        "large.",
        json_schema_extra=_FROM_TEXT,
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate between layers and on the output of the last one. 0: off.",
        json_schema_extra=_FROM_TEXT,
    )
    embedding_dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate on the source embeddings. 0: off.",
        json_schema_extra=_FROM_TEXT,
    )
    variational: bool = Field(
        False,
        description="Variational dropout: one dropout mask for all time steps of a sentence.",
        json_schema_extra=_FROM_TEXT,
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each layer.",
        json_schema_extra=_FROM_TEXT,
    )

    @property
    def state_size(self) -> int:
        """D, the size of a state."""
        return self.hidden * (2 if self.bidirectional else 1)


class ContextConfig(Section):
    """The context vector c, which carries the source to the decoder or classifier: one c for the
    whole target, or attention, which computes a new c at every step."""

    kind: Literal[
        "fixed", "same-position", "additive", "dot", "general", "cosine", "multi-head"
    ] = Field(
        "cosine",
        description="How c is made. `fixed`: one summary of the source. `same-position`, for the "
        "aligned task alone: the encoder state at the same position. The others: attention with "
        "this score function.",
    )
    placement: Literal["parallel", "classic"] = Field(
        "parallel",
        description="Where attention sits. `parallel`: the first decoder layer queries it, and the "
        "layers above it get c. `classic`: the previous state of that layer queries it, and all "
        "layers get c.",
        json_schema_extra=_WITH_ATTENTION,
    )
    shortcut: bool = Field(
        True,
        description="Append the source embeddings to the encoder states wherever these are "
        "averaged: in attention and in the poolings `mean` and `attentive`.",
        json_schema_extra=_FROM_TEXT,
    )
    pooling: Literal["last", "mean", "max", "attentive"] = Field(
        "attentive",
        description="How the encoder states become the summary of the source. The summary is the "
        "fixed c, and sets the initial decoder state. `attentive` learns its weights.",
        json_schema_extra=_FROM_TEXT,
    )
    heads: int = Field(
        8,
        ge=1,
        description="Heads of `multi-head` attention and of `attentive` pooling.",
        json_schema_extra=_FROM_TEXT,
    )
    size: int = Field(512, ge=1, description="Size of c and of the summary of the source.")

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
    """The decoder, which writes the target token by token. A language model is a decoder alone."""

    cell: Cell = Field(
        "gru",
        description="Recurrent cell. `rnn` is the simple cell with tanh, `rnn-relu` the same with "
        "ReLU.",
    )
    embedding: int = Field(
        256,
        ge=1,
        description="Size of the target embeddings. A language model with tied embeddings needs "
        "the size of a state: `hidden`, or twice that if bidirectional.",
    )
    hidden: int = Field(512, ge=1, description="Hidden units of each layer.")
    layers: int = Field(
        1,
        ge=1,
        description="Recurrent layers. From the second on, each has a residual connection.",
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate between layers and before the output layer. 0: off.",
    )
    embedding_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout rate on the target embeddings. 0: off."
    )
    variational: bool = Field(
        False,
        description="Variational dropout: one dropout mask for all time steps of a sentence.",
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each layer.",
    )
    weight_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Language model: dropout rate on the recurrent (state-to-state) weights. "
        "0: off.",
    )
    tied: Literal["none", "output", "all"] = Field(
        "output",
        description="Weight tying. `output`: the target embeddings are also the output matrix. "
        "`all`: the source embeddings too, which needs a joint vocabulary and embeddings of one "
        "size.",
    )
    bidirectional: bool = Field(
        False,
        description="Language model: read from right to left too. The model then sees the tokens "
        "that it predicts, so it cannot generate text.",
    )


class TrainingConfig(Section):
    """Training: batches, optimiser, regularisation, and when to stop. It stops at the first of the
    limits `epochs`, `updates`, `minutes` and `patience`; set at least one of the first three."""

    batch_tokens: int = Field(
        1536,
        ge=1,
        description="Upper limit of a batch: its rows times its longest side in subwords, padding "
        "included.",
    )
    window: int = Field(
        35,
        ge=1,
        description="Language model: time steps of backpropagation through time. A batch has "
        "`batch_tokens` / `window` streams of text side by side.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )
    windows: Literal["contiguous", "random"] = Field(
        "contiguous",
        description="Language model: `contiguous` windows start from the last state of the window "
        "before, `random` windows start from zeros.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )
    accumulate: int = Field(
        1, ge=1, description="Batches per update. Their gradients are added up."
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw", description="Optimiser: AdamW, or plain stochastic gradient descent."
    )
    learning_rate: float = Field(
        2e-3, gt=0, description="Highest learning rate, reached at the end of warm-up."
    )
    betas: tuple[_Beta, _Beta] = Field(
        (0.9, 0.98),
        description="AdamW: decay rates of the averages of the gradient and of its square.",
    )
    weight_decay: float = Field(
        0.01, ge=0, description="Weight decay on matrices; biases have none. 0: off."
    )
    schedule: Literal["inverse-sqrt", "cosine", "plateau", "constant"] = Field(
        "inverse-sqrt",
        description="The learning rate after warm-up: it falls as 1 / sqrt(update), falls to 0 at "
        "the end, is cut when validation stops improving, or stays. With `minutes` as the only "
        "limit, `cosine` follows the clock, and no two runs are equal.",
    )
    warmup: int = Field(
        400, ge=0, description="Updates of linear warm-up of the learning rate. 0: off."
    )
    plateau_factor: float = Field(
        0.5,
        gt=0,
        lt=1,
        description='With `schedule = "plateau"`: each plateau multiplies the learning rate by '
        "this factor.",
    )
    plateau_patience: int = Field(
        2,
        ge=1,
        description='With `schedule = "plateau"`: this many validations in a row without '
        "improvement are a plateau.",
    )
    clip: float = Field(
        1.0,
        ge=0,
        description="Upper limit of the norm of the gradient. A larger gradient is scaled down. "
        "0: off.",
    )
    label_smoothing: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Label smoothing: probability that is spread evenly over all tokens or labels. "
        "0: off.",
    )
    word_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Probability of replacing an input token by `<unk>`, on each side that is "
        "text. 0: off.",
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        description="R-Drop (Liang et al. 2021): weight of the divergence between two passes with "
        "different dropout. It doubles the cost of an update. 0: off.",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay of an exponential moving average of the weights. If it is on, the "
        "average is validated and saved. 0: off.",
    )
    epochs: int | None = Field(
        None, ge=1, description="Limit: passes over the training set.", examples=[10]
    )
    updates: int | None = Field(
        None, ge=1, description="Limit: updates of the weights.", examples=[100_000]
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="Limit: minutes of training and validation. Resumed runs continue the count.",
        examples=[60.0],
    )
    patience: int = Field(
        10,
        ge=0,
        description="Limit: validations in a row without improvement. 0: no such limit.",
    )
    precision: Precision = Field(
        "auto",
        description="Number format of matrix products. `auto`: bf16 where the processor supports "
        "it, else fp32.",
    )
    device: str = Field(
        "auto",
        description="Where to train: `auto` (a GPU if there is one), `cpu`, or a GPU such as "
        "`cuda:0`.",
    )
    threads: int = Field(
        0, ge=0, description="CPU threads. 0: `$OMP_NUM_THREADS` if set, else all cores."
    )
    log_every: int = Field(50, ge=1, description="Updates between two lines of the training log.")

    @model_validator(mode="after")
    def _ends(self) -> TrainingConfig:
        if self.epochs is None and self.updates is None and self.minutes is None:
            raise ValueError("set a limit: epochs, updates or minutes")
        return self


class ValidationConfig(Section):
    """Validation: how often and by which metric the model is judged. The best weights become the
    model."""

    every: int = Field(
        0, ge=0, description="Updates between two validations. 0: one after each epoch."
    )
    metric: Literal["bleu", "accuracy", "loss"] = Field(
        "bleu",
        description="What decides which weights are best: BLEU of translations (sacreBLEU), "
        "accuracy of labels, or the cross-entropy loss.",
    )
    beam: int = Field(
        1,
        ge=1,
        description="Metric `bleu`: beam size of the search that translates. 1: greedy search.",
        json_schema_extra=_TEXT_TO_TEXT,
    )
    lines: int = Field(
        0,
        ge=0,
        description="Metric `bleu`: translate this many pairs, from the beginning of the "
        "validation set. 0: all.",
        json_schema_extra=_TEXT_TO_TEXT,
    )


def _as_task(value: object) -> object:
    return value if isinstance(value, Task) else find_task(str(value))


class Config(Section):
    """A whole configuration: the task, the seed, and a section for each part of a model and its
    training."""

    task: Annotated[
        InstanceOf[Task],
        BeforeValidator(_as_task),
        PlainSerializer(lambda task: task.name, return_type=str),
    ] = Field(
        TRANSLATION,
        description="What the model does. The task decides which sections and keys there are: "
        "`seq2seq config TASK` prints them.",
    )
    seed: int = Field(
        1,
        ge=0,
        description="Seed of all that is random: initial weights, order of the batches, dropout.",
    )
    license: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.+-]*$",
        description="Licence of the model, for its card: an identifier that the Hugging Face hub "
        "knows, such as `mit` or `apache-2.0`. It has no effect on training.",
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
