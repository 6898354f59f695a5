"""The schema of a configuration: every key with its type, default and description.

A configuration has a few top-level keys, such as `task` and `seed`, and sections. The other modules
of this package define the sections. `seq2seq.config.toml` reads configurations. The docstrings of
the sections and the descriptions of the keys are written for users, because `seq2seq config` prints
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, InstanceOf, PlainSerializer, model_validator

from seq2seq.config.data_section import DataConfig
from seq2seq.config.features_section import FeaturesConfig
from seq2seq.config.network_sections import ContextConfig, DecoderConfig, EncoderConfig
from seq2seq.config.section import SIDES, Section
from seq2seq.config.tokenizer_section import SideConfig, TokenizerConfig
from seq2seq.config.training_sections import TrainingConfig, ValidationConfig
from seq2seq.tasks import TASKS, TRANSLATION, Task, find_task


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
    """A complete configuration. A configuration has top-level keys and one section for each part
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
        le=2**63 - 1,
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
    features: FeaturesConfig = FeaturesConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    encoder: EncoderConfig = EncoderConfig()
    context: ContextConfig = ContextConfig()
    decoder: DecoderConfig = DecoderConfig()
    training: TrainingConfig
    validation: ValidationConfig = ValidationConfig()

    @property
    def selecting_set(self) -> str:
        """The name of the validation set that decides which weights are best. "" if unnamed."""
        return self.validation.set or next(iter(self.data.valid_sets))

    @property
    def unused_sections(self) -> set[str]:
        """The names of the sections that the task does not use."""
        return {"features", "encoder", "context", "decoder"} - set(self.task.sections)

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
        if "features" in self.unused_sections and self.data.features is not None:
            yield f"task {task.name!r} does not read features: leave out data.features"
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
        if decoder.copying and not self.context.has_weights:
            yield (
                f"decoder.copying does not work with context.kind = {self.context.kind!r}: use "
                "attention, such as 'additive'"
            )
        if self.context.is_transducer and self.tokenizer.sampling:
            yield (
                "tokenizer.sampling does not work with context.kind = 'transducer': leave out one "
                "of them"
            )
        if self.features.per == "word" and self.tokenizer.sampling and self.data.features:
            yield "features.per = 'word' needs tokenizer.sampling = 0: leave out one of them"
        if self.tokenizer.sampling and not any(
            self.tokenizer.of(side).has_subwords for side in SIDES
        ):
            yield "tokenizer.sampling needs tokenizer.kind = 'unigram' or 'bpe'"


def _as_toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
