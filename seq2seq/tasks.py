"""The table of tasks, with every property that depends only on the task.

A configuration names its task (`task = "translation"`). The rest of the code reads the properties
of a `Task` and never compares the names of tasks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seq2seq.errors import did_you_mean

Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Task:
    """The properties of one task: its inputs and outputs, its configuration and its scores.

    name: The name of the task in a configuration.
    title: What a model card calls a model of this task, such as "recurrent tagger".
    source: The kind of input: "text", "words" (each word gets a label), "condition" (one label or
        one vector) or "none".
    target: The kind of output: "text", "label" (one per text) or "word labels" (one per word).
    report: The scores that `seq2seq evaluate` prints.
    commands: The commands that can use a model of this task.
    example: An example command line for a model of this task.
    pipeline_tag: The name of the task on the Hugging Face hub.
    unit: The unit of training data: "pairs" of source and target, or "tokens" of running text.
    same_length: Whether a target has as many tokens as its source.
    sections: The optional sections that a configuration of this task may have.
    defaults: Default values of the configuration that differ from those of the schema.
    allowed: The values that this task allows for certain keys, by key name (`section.key`).
    """

    name: str
    title: str
    source: Literal["text", "words", "condition", "none"]
    target: Literal["text", "label", "word labels"]
    report: Literal["translation scores", "perplexity", "label scores"]
    commands: tuple[str, ...]
    example: str
    pipeline_tag: str
    unit: Literal["pairs", "tokens"] = "pairs"
    same_length: bool = False
    sections: tuple[str, ...] = ("encoder", "context", "decoder")
    defaults: Sections = field(default_factory=dict)
    allowed: Mapping[str, tuple[object, ...]] = field(default_factory=dict)

    @property
    def has_source(self) -> bool:
        """Whether the model reads a source."""
        return self.source != "none"

    @property
    def has_target_text(self) -> bool:
        """Whether the target is text instead of labels."""
        return self.target == "text"

    @property
    def label_side(self) -> int | None:
        """The side of an example that holds labels or a vector: 0 for the source, 1 for the target.

        None if both sides are text.
        """
        if self.source == "condition":
            return 0
        return None if self.has_target_text else 1

    @property
    def labels_each_word(self) -> bool:
        """Whether every word of the source has its own label."""
        return self.target == "word labels"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        # Copying or unpickling a task returns the object of the table, so `is` works everywhere.
        return find_task, (self.name,)


_ONE_VOCABULARY: dict[str, tuple[object, ...]] = {
    "tokenizer.joint": (True,),
    "decoder.tied": ("none", "output"),
}
_NO_TEXT_MODEL: dict[str, tuple[object, ...]] = {
    "decoder.bidirectional": (False,),
    "decoder.weight_dropout": (0.0,),
}
_NO_COPYING: dict[str, tuple[object, ...]] = {"decoder.copying": (False,)}
_ENCODED: dict[str, tuple[object, ...]] = {"encoder.kind": ("recurrent",)}
_TEXT_METRICS = ("bleu", "chrf", "ter", "exact-match", "wer", "ser", "loss", "perplexity")
_ATTENTIONS = ("additive", "dot", "general", "cosine", "multi-head", "monotonic")

TRANSLATION = Task(
    name="translation",
    title="recurrent translator",
    source="text",
    target="text",
    report="translation scores",
    commands=("translate", "score", "embed", "evaluate"),
    example='echo "..." | seq2seq translate FOLDER',
    pipeline_tag="translation",
    sections=("features", "encoder", "context", "decoder"),
    allowed={
        **_ENCODED,
        **_NO_TEXT_MODEL,
        "context.kind": ("fixed", *_ATTENTIONS, "transducer"),
        "validation.metric": _TEXT_METRICS,
    },
)
ALIGNED = Task(
    name="aligned",
    title="recurrent same-length sequence model",
    source="text",
    target="text",
    report="perplexity",
    commands=("translate", "score", "embed", "evaluate"),
    example='echo "..." | seq2seq translate FOLDER',
    pipeline_tag="text-generation",
    same_length=True,
    sections=("features", "encoder", "context", "decoder"),
    defaults={"context": {"kind": "same-position"}},
    allowed={
        **_NO_COPYING,
        **_ENCODED,
        **_NO_TEXT_MODEL,
        "context.kind": ("same-position",),
        "validation.metric": _TEXT_METRICS,
    },
)
LANGUAGE_MODEL = Task(
    name="language-model",
    title="recurrent language model",
    source="none",
    target="text",
    report="perplexity",
    commands=("perplexity", "generate", "evaluate"),
    example="seq2seq generate FOLDER",
    pipeline_tag="text-generation",
    unit="tokens",
    sections=("decoder",),
    defaults={
        "data": {"source": "", "target": "text"},
        "validation": {"metric": "loss"},
    },
    allowed={
        **_NO_COPYING,
        **_ENCODED,
        **_ONE_VOCABULARY,
        "data.source": ("",),
        "tokenizer.sampling": (0.0,),
        "training.r_drop": (0.0,),
        "validation.metric": ("loss", "perplexity"),
    },
)
CLASSIFICATION = Task(
    name="classification",
    title="recurrent classifier",
    source="text",
    target="label",
    report="label scores",
    commands=("classify", "embed", "evaluate"),
    example='echo "..." | seq2seq classify FOLDER',
    pipeline_tag="text-classification",
    sections=("encoder", "context"),
    defaults={
        "data": {"source": "text", "target": "label"},
        "context": {"kind": "fixed"},
        "validation": {"metric": "accuracy"},
    },
    allowed={
        **_ENCODED,
        **_ONE_VOCABULARY,
        **_NO_TEXT_MODEL,
        "context.kind": ("fixed",),
        "validation.metric": ("accuracy", "loss", "perplexity"),
    },
)
TAGGING = Task(
    name="tagging",
    title="recurrent tagger",
    source="words",
    target="word labels",
    report="label scores",
    commands=("tag", "embed", "evaluate"),
    example='echo "..." | seq2seq tag FOLDER',
    pipeline_tag="token-classification",
    sections=("encoder",),
    defaults={
        "data": {"source": "form", "target": "upos"},
        "validation": {"metric": "accuracy"},
    },
    allowed={
        **_ENCODED,
        **_ONE_VOCABULARY,
        **_NO_TEXT_MODEL,
        "validation.metric": ("accuracy", "exact-match", "loss", "perplexity"),
    },
)
GENERATION = Task(
    name="generation",
    title="recurrent generator",
    source="condition",
    target="text",
    report="perplexity",
    commands=("generate", "embed", "evaluate"),
    example='seq2seq generate FOLDER --given "..."',
    pipeline_tag="text-generation",
    defaults={
        "encoder": {"kind": "label"},
        "context": {"kind": "fixed"},
        "validation": {"metric": "loss"},
    },
    allowed={
        **_NO_COPYING,
        **_ONE_VOCABULARY,
        **_NO_TEXT_MODEL,
        "encoder.kind": ("label", "vector"),
        "context.kind": ("fixed",),
        "validation.metric": ("loss", "perplexity"),
    },
)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (TRANSLATION, ALIGNED, LANGUAGE_MODEL, CLASSIFICATION, TAGGING, GENERATION)
}


def find_task(name: str) -> Task:
    """Return the task with this name.

    Raises ValueError for an unknown name. The message lists all names.
    """
    if name not in TASKS:
        known = ", ".join(map(repr, TASKS))
        hint = did_you_mean(name, TASKS)
        raise ValueError(f"unknown task {name!r}{hint}; choose one of {known}")
    return TASKS[name]
