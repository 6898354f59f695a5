"""The schema of a configuration: every key with its type, default and description.

A configuration has `task`, `seed` and the sections below. `seq2seq.config.toml` reads it.
`seq2seq config` prints the docstrings of the sections and the descriptions of the keys (see
`seq2seq.config.reference`), so they are written for users.
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

# A key of the pydantic validation context. If its value is true, `data.train` or `data.hub` must be
# set, because the training set is read from there.
NEEDS_FILES = "needs_files"

Cell = Literal["rnn", "rnn-relu", "lstm", "gru"]
Precision = Literal["auto", "fp32", "bf16"]
_Beta = Annotated[float, Field(ge=0, lt=1)]


def _used_where(uses: Callable[[Task], bool]) -> dict[str, Any]:
    """Return the `json_schema_extra` of a key that only some tasks use: the names of these tasks.

    A key whose value is fixed by a task does not need this; see `Task.allowed`.
    """
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
    """The base of all sections: immutable, without unknown keys, and with finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataConfig(Section):
    """The data sets, and the rules that decide which of their examples are used.

    `train`, `valid` and `test` each name a data set, in one of three forms. The first is the common
    prefix of two parallel files: with `source = "de"`, `"corpus/train"` reads the source from
    `corpus/train.de` or `corpus/train.de.gz`. The second is a list of two files, source first. The
    third is one table: `.tsv`, `.jsonl` or `.conllu` (also with `.gz`), or `.parquet`. A language
    model reads one text file or one table.

    A relative path is looked up in the folder of the configuration first, then in
    `$SEQ2SEQ_DATA`.
    """

    source: str = Field(
        description="Name of the source side: the file ending of its text files (a language code "
        "such as `de`) and the name of its column in a table.",
    )
    target: str = Field(
        min_length=1,
        description="Name of the target side: the file ending of its text files (such as `en`) and "
        "the name of its column in a table. If it is a language code such as `zh`, BLEU "
        "uses the tokenizer for that language.",
    )
    train: str | list[str] | None = Field(
        None,
        description="Path of the training set. Set this key or `hub`.",
    )
    valid: str | list[str] | None = Field(
        None,
        description="Path of the validation set, on which the best weights are chosen. "
        "Training needs a validation set, from this key or from `hub`.",
    )
    test: str | list[str] | None = Field(
        None,
        description="Path of the test set. `seq2seq evaluate` scores it; training never reads it.",
    )
    source_column: str | int | None = Field(
        None,
        description="Column of the source in a table, if its name differs from `source`. A dot "
        "selects a nested column (`translation.de`). For a TSV file without a header, "
        "give the column number, counted from 1.",
        examples=[1],
        json_schema_extra=_WITH_A_SOURCE,
    )
    target_column: str | int | None = Field(
        None,
        description="Column of the target in a table, if its name differs from `target`. It is "
        "written in the same way as `source_column`.",
        examples=[2],
    )
    hub: str | None = Field(
        None,
        description="Dataset to read for every split that has no file on this disk: its id on the "
        "Hugging Face hub, or a local folder.",
        examples=["owner/dataset"],
    )
    hub_config: str | None = Field(
        None,
        description="Name of the configuration (subset) of the hub dataset, if the dataset has "
        "several.",
        examples=["de-en"],
    )
    hub_splits: dict[Literal["train", "valid", "test"], str] = Field(
        {"train": "train", "valid": "validation", "test": "test"},
        description="Names that the hub dataset uses for the training, validation and test splits.",
    )
    max_tokens: int = Field(
        256,
        ge=1,
        description="Maximum length of a side in subwords. Training drops pairs with a longer "
        "side. Translation splits longer lines.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    max_ratio: float = Field(
        0.0,
        ge=0,
        description="Maximum ratio between the lengths of the two sides of a training pair, in "
        "subwords: longer side divided by shorter side. Training drops pairs above it. "
        "0 means no limit.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    drop_duplicates: bool = Field(
        True,
        description="Drop training pairs that repeat an earlier pair exactly.",
        json_schema_extra=_WITH_A_SOURCE,
    )
    line_ends: bool = Field(
        True,
        description="Language model: end each line of text with the token `</s>`. If false, the "
        "text continues from one line to the next without a break.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )

    @model_validator(mode="after")
    def _has_training_pairs(self, info: ValidationInfo) -> DataConfig:
        # A model folder and training on data in memory do not need a training set in [data].
        files_needed = (info.context or {}).get(NEEDS_FILES, False)
        if files_needed and self.train is None and self.hub is None:
            raise ValueError("no training set: set train (files) or hub (a Hugging Face dataset)")
        for name in ("train", "valid", "test"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != 2:
                raise ValueError(
                    f"{name} must be the prefix of two files, one table, or a list of two files"
                )
        return self


class TokenizerConfig(Section):
    """The tokenizer. SentencePiece learns its vocabulary from the training set."""

    kind: Literal["unigram", "bpe", "char", "word"] = Field(
        "unigram",
        description="Kind of vocabulary: `unigram` (subwords chosen by a unigram language model), "
        "`bpe` (subwords from byte-pair encoding), `char` (characters) or `word` (whole "
        "words).",
    )
    vocabulary: int = Field(
        8000,
        ge=8,
        description="Size of the vocabulary in tokens, including the special tokens. `unigram` and "
        "`bpe` reach this size exactly; for `char` and `word` it is an upper limit.",
    )
    joint: bool = Field(
        True,
        description="Use one vocabulary for source and target. If false, each side gets its own "
        "vocabulary of `vocabulary` tokens.",
    )
    byte_fallback: bool = Field(
        True,
        description="With `unigram` or `bpe`: encode characters that are not in the vocabulary as "
        "bytes, so that no input becomes `<unk>`.",
    )
    character_coverage: float = Field(
        0.9995,
        gt=0,
        le=1,
        description="Fraction of the characters in the training text that the vocabulary must "
        "cover, above 0 and up to 1. The rarest characters are left out.",
    )
    lowercase: bool = Field(
        False,
        description="Convert all text to lower case. The model then also writes lower case only.",
    )
    normalization: Literal["nmt_nfkc", "identity"] = Field(
        "nmt_nfkc",
        description="How SentencePiece normalises text before it splits it: `nmt_nfkc` unifies "
        "white space and equivalent characters (Unicode NFKC); `identity` changes "
        "nothing.",
    )
    sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Subword regularisation: every epoch splits the training text into subwords in "
        "a new random way. For `unigram`, the smoothing parameter alpha; for `bpe`, the "
        "dropout rate. 0 turns it off.",
    )
    sample_lines: int = Field(
        1_000_000,
        ge=1,
        description="Maximum number of training pairs (or lines) from which the vocabulary is "
        "learned. From a larger training set, pairs are taken at even intervals.",
    )


class EncoderConfig(Section):
    """The encoder, which reads the source. It is a recurrent network that reads a text, or an
    embedding of one label or one vector."""

    kind: Literal["recurrent", "label", "vector"] = Field(
        "recurrent",
        description="What the encoder reads: `recurrent` reads a text, `label` reads one label, "
        "and `vector` reads one vector of numbers.",
    )
    vector_size: int = Field(
        3,
        ge=1,
        description='With `kind = "vector"`: the number of components of the vector.',
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
        description='Size of the source embeddings. With `kind = "vector"`: the size of the hidden '
        "layer that reads the vector.",
    )
    hidden: int = Field(
        256,
        ge=1,
        description="Number of hidden units in each layer, per direction.",
        json_schema_extra=_FROM_TEXT,
    )
    layers: int = Field(
        1,
        ge=1,
        description="Number of recurrent layers. Each layer from the second on has a residual "
        "connection.",
        json_schema_extra=_FROM_TEXT,
    )
    bidirectional: bool = Field(
        True,
        description="Read the source in both directions. This doubles the size of each encoder "
        "state.",
        json_schema_extra=_FROM_TEXT,
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate between the layers and on the output of the last layer. "
        "0 turns dropout off.",
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
        description="Use variational dropout: all time steps of a sentence share one dropout mask.",
        json_schema_extra=_FROM_TEXT,
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each layer.",
        json_schema_extra=_FROM_TEXT,
    )

    @property
    def state_size(self) -> int:
        """D, the size of an encoder state."""
        return self.hidden * (2 if self.bidirectional else 1)


class ContextConfig(Section):
    """The context vector c, which passes the source to the decoder or to the classifier. Either one
    c serves the whole target, or attention computes a new c at every step."""

    kind: Literal[
        "fixed", "same-position", "additive", "dot", "general", "cosine", "multi-head"
    ] = Field(
        "cosine",
        description="How c is computed. `fixed`: one summary of the source. `same-position` (task "
        "`aligned` only): the encoder state at the position of the target token. The "
        "other values: attention with the score function of that name.",
    )
    placement: Literal["parallel", "classic"] = Field(
        "parallel",
        description="Where attention is computed. `parallel`: the first decoder layer's new state "
        "is the query, and c goes to the layers above. `classic`: the first layer's "
        "previous state is the query, and c goes to all layers.",
        json_schema_extra=_WITH_ATTENTION,
    )
    shortcut: bool = Field(
        True,
        description="Append the source embeddings to the encoder states before they are averaged "
        "by attention or by the poolings `mean` and `attentive`.",
        json_schema_extra=_FROM_TEXT,
    )
    pooling: Literal["last", "mean", "max", "attentive"] = Field(
        "attentive",
        description="How the encoder states are combined into one summary of the source. The "
        "summary initialises the decoder and serves as the fixed c. `attentive` is a "
        "weighted mean with learned weights.",
        json_schema_extra=_FROM_TEXT,
    )
    heads: int = Field(
        8,
        ge=1,
        description="Number of heads of `multi-head` attention and of `attentive` pooling.",
        json_schema_extra=_FROM_TEXT,
    )
    size: int = Field(512, ge=1, description="Size of c and of the summary of the source.")

    @property
    def is_attention(self) -> bool:
        """Whether the context is computed by attention."""
        return self.kind not in ("fixed", "same-position")

    @model_validator(mode="after")
    def _heads_fit(self) -> ContextConfig:
        if self.kind == "multi-head" and self.size % self.heads:
            raise ValueError(
                f"size {self.size} is not a multiple of heads ({self.heads}); change one of them"
            )
        if not self.is_attention and self.placement == "classic":
            raise ValueError(
                f"placement 'classic' needs attention; kind {self.kind!r} has none, so leave it out"
            )
        return self


class DecoderConfig(Section):
    """The decoder, which writes the target token by token. A language model consists of a decoder
    only."""

    cell: Cell = Field(
        "gru",
        description="Type of the recurrent cell. `rnn` is the simple (Elman) cell with tanh; "
        "`rnn-relu` is the same cell with ReLU.",
    )
    embedding: int = Field(
        256,
        ge=1,
        description="Size of the target embeddings. A language model with tied embeddings needs "
        "the size of a decoder state here: `hidden`, or twice `hidden` if the model is "
        "bidirectional.",
    )
    hidden: int = Field(512, ge=1, description="Number of hidden units in each layer.")
    layers: int = Field(
        1,
        ge=1,
        description="Number of recurrent layers. Each layer from the second on has a residual "
        "connection.",
    )
    dropout: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="Dropout rate between the layers and before the output layer. "
        "0 turns dropout off.",
    )
    embedding_dropout: float = Field(
        0.2, ge=0, lt=1, description="Dropout rate on the target embeddings. 0 turns dropout off."
    )
    variational: bool = Field(
        False,
        description="Use variational dropout: all time steps of a sentence share one dropout mask.",
    )
    layer_norm: bool = Field(
        False,
        description="Apply layer normalisation to the output of each layer.",
    )
    weight_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Language model: dropout rate on the recurrent (state-to-state) weights. 0 "
        "turns it off.",
    )
    tied: Literal["none", "output", "all"] = Field(
        "output",
        description="Weight tying. `output`: the output layer uses the target embeddings as its "
        "weights. `all`: source and target also share their embeddings, which requires "
        "a joint vocabulary and equal embedding sizes.",
    )
    bidirectional: bool = Field(
        False,
        description="Language model: read the text in both directions. The model then sees the "
        "tokens that it predicts, so it cannot generate text.",
    )


class TrainingConfig(Section):
    """Training: batches, optimiser, regularisation and limits. Training stops when it reaches the
    first of the limits `epochs`, `updates`, `minutes` and `patience`. Set at least one of `epochs`,
    `updates` and `minutes`."""

    batch_tokens: int = Field(
        1536,
        ge=1,
        description="Maximum size of a batch in tokens, including padding: the number of rows "
        "times the length of the longest side.",
    )
    window: int = Field(
        35,
        ge=1,
        description="Language model: number of time steps of truncated backpropagation through "
        "time. A batch holds `batch_tokens` / `window` parallel streams of text.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )
    windows: Literal["contiguous", "random"] = Field(
        "contiguous",
        description="Language model: initial state of a window of text. `contiguous` windows "
        "continue from the last state of the previous window; `random` windows start "
        "from a zero state.",
        json_schema_extra=_FOR_LANGUAGE_MODELS,
    )
    accumulate: int = Field(
        1, ge=1, description="Number of batches per update. Their gradients are accumulated."
    )
    optimizer: Literal["adamw", "sgd"] = Field(
        "adamw",
        description="Optimiser: `adamw` (AdamW) or `sgd` (stochastic gradient descent without "
        "momentum).",
    )
    learning_rate: float = Field(
        2e-3, gt=0, description="Peak learning rate, which is reached at the end of warm-up."
    )
    betas: tuple[_Beta, _Beta] = Field(
        (0.9, 0.98),
        description="AdamW: decay rates of the running averages of the gradient and of the squared "
        "gradient.",
    )
    weight_decay: float = Field(
        0.01,
        ge=0,
        description="Weight decay, which applies to weight matrices but not to biases. 0 turns it "
        "off.",
    )
    schedule: Literal["inverse-sqrt", "cosine", "plateau", "constant"] = Field(
        "inverse-sqrt",
        description="Learning rate after warm-up. `inverse-sqrt`: falls as 1 / sqrt(updates). "
        "`cosine`: falls to 0 at the end; if `minutes` is the only limit, runs differ. "
        "`plateau`: is reduced when validation stalls. `constant`: stays.",
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
        description='With `schedule = "plateau"`: factor by which the learning rate is multiplied '
        "at each plateau.",
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
        description="Maximum gradient norm. A gradient with a larger norm is scaled down to it. 0 "
        "turns clipping off.",
    )
    label_smoothing: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Label smoothing: probability mass that is spread evenly over all tokens or "
        "labels. 0 turns it off.",
    )
    word_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Word dropout: probability that an input token is replaced by `<unk>` during "
        "training, in source and target text. 0 turns it off.",
    )
    r_drop: float = Field(
        0.0,
        ge=0,
        description="R-Drop (Liang et al. 2021): weight of the divergence between two forward "
        "passes with different dropout masks. It doubles the cost of an update. 0 turns "
        "it off.",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Decay rate of an exponential moving average (EMA) of the weights. The "
        "averaged weights are then the ones that are validated and saved. 0 turns it off.",
    )
    epochs: int | None = Field(
        None,
        ge=1,
        description="Stop after this many passes over the training set (epochs).",
        examples=[10],
    )
    updates: int | None = Field(
        None, ge=1, description="Stop after this many updates of the weights.", examples=[100_000]
    )
    minutes: float | None = Field(
        None,
        gt=0,
        description="Stop after this many minutes of training and validation. A resumed run "
        "continues the count.",
        examples=[60.0],
    )
    patience: int = Field(
        10,
        ge=0,
        description="Stop after this many successive validations without improvement (early "
        "stopping). 0 turns early stopping off.",
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
        description="Number of CPU threads. 0 means `$OMP_NUM_THREADS`, or all cores if that "
        "variable is not set.",
    )
    log_every: int = Field(
        50, ge=1, description="Number of updates from one line of the training log to the next."
    )

    @model_validator(mode="after")
    def _ends(self) -> TrainingConfig:
        if self.epochs is None and self.updates is None and self.minutes is None:
            raise ValueError("no limit is set: set epochs, updates or minutes")
        return self


class ValidationConfig(Section):
    """Validation: how often the model is validated, and by which metric. The weights with the best
    validation result become the final model."""

    every: int = Field(
        0,
        ge=0,
        description="Number of updates from one validation to the next. 0 validates after each "
        "epoch.",
    )
    metric: Literal["bleu", "accuracy", "loss"] = Field(
        "bleu",
        description="Metric that decides which weights are best: `bleu` (BLEU of the translations, "
        "by sacreBLEU), `accuracy` (accuracy of the labels) or `loss` (cross-entropy).",
    )
    beam: int = Field(
        1,
        ge=1,
        description="With metric `bleu`: beam size for translating the validation set. 1 means "
        "greedy search.",
        json_schema_extra=_TEXT_TO_TEXT,
    )
    lines: int = Field(
        0,
        ge=0,
        description="With metric `bleu`: number of pairs to translate, counted from the start of "
        "the validation set. 0 means all pairs.",
        json_schema_extra=_TEXT_TO_TEXT,
    )


def _as_task(value: object) -> object:
    return value if isinstance(value, Task) else find_task(str(value))


class Config(Section):
    """A complete configuration: the task, the seed, and one section for each part of the model and
    of its training."""

    task: Annotated[
        InstanceOf[Task],
        BeforeValidator(_as_task),
        PlainSerializer(lambda task: task.name, return_type=str),
    ] = Field(
        TRANSLATION,
        description="What the model does. The task determines which sections and keys a "
        "configuration has; `seq2seq config TASK` prints them.",
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
        description="Licence to state in the model card: an identifier that the Hugging Face hub "
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
            known = " or ".join(_as_toml(choice) for choice in allowed)
            yield f"task {task.name!r} does not allow {key} = {_as_toml(value)}: use {known}"
        if task.has_source and not self.data.source:
            yield "data.source: is empty; give the file ending or the column of the source"

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
        if self.tokenizer.sampling and self.tokenizer.kind not in ("unigram", "bpe"):
            yield "tokenizer.sampling needs tokenizer.kind = 'unigram' or 'bpe'"


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
