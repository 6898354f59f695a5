"""The tasks in one table: all that depends on the task alone.

A configuration names its task (`task = "translation"`). The rest of the code asks a `Task` for its
properties and never compares names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seq2seq.errors import did_you_mean

Sections = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Task:
    """What one task reads, writes, allows and reports.

    name: its value in a configuration. title: what a model of the task is called.
    source: "text"; "words", a text whose every word gets a label; "condition", one label or one
    vector; "none". target: "text", "label" (one a text) or "word labels" (one a word).
    same_length: a target has as many tokens as its source.
    unit: what training counts: "pairs" of source and target, or "tokens" of one running text.
    sections: the optional sections that a configuration of the task may have. defaults: values
    that differ from those of the schema. allowed: the values that a key may have, where the task
    does not allow all; keys are written `section.key`.
    report: what `seq2seq evaluate` prints. commands: those that use a model, with an example.
    pipeline_tag: the task as the Hugging Face hub names it.
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
        """Whether a source is read at all."""
        return self.source != "none"

    @property
    def has_target_text(self) -> bool:
        """Whether the target is text, not labels."""
        return self.target == "text"

    @property
    def label_side(self) -> int | None:
        """The side of an example that holds labels or a vector: 0 the source, 1 the target."""
        if self.source == "condition":
            return 0
        return None if self.has_target_text else 1

    @property
    def labels_each_word(self) -> bool:
        """Whether every word of the source has a label of its own."""
        return self.target == "word labels"

    def __reduce__(self) -> tuple[object, tuple[str]]:
        # One object a task, in copies and in other processes too.
        return find_task, (self.name,)


_ONE_VOCABULARY: dict[str, tuple[object, ...]] = {
    "tokenizer.joint": (True,),
    "decoder.tied": ("none", "output"),
}
_NO_TEXT_MODEL: dict[str, tuple[object, ...]] = {
    "decoder.bidirectional": (False,),
    "decoder.weight_dropout": (0.0,),
}
_ENCODED: dict[str, tuple[object, ...]] = {"encoder.kind": ("recurrent",)}
_CONTEXTS = ("fixed", "additive", "dot", "general", "cosine", "multi-head")

TRANSLATION = Task(
    name="translation",
    title="recurrent translator",
    source="text",
    target="text",
    report="translation scores",
    commands=("translate", "score", "evaluate"),
    example='echo "..." | seq2seq translate FOLDER',
    pipeline_tag="translation",
    allowed={
        **_ENCODED,
        **_NO_TEXT_MODEL,
        "context.kind": _CONTEXTS,
        "validation.metric": ("bleu", "loss"),
    },
)
ALIGNED = Task(
    name="aligned",
    title="recurrent writer of equal length",
    source="text",
    target="text",
    report="perplexity",
    commands=("translate", "score", "evaluate"),
    example='echo "..." | seq2seq translate FOLDER',
    pipeline_tag="text-generation",
    same_length=True,
    defaults={"context": {"kind": "same-position"}},
    allowed={
        **_ENCODED,
        **_NO_TEXT_MODEL,
        "context.kind": ("same-position",),
        "validation.metric": ("bleu", "loss"),
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
        **_ENCODED,
        **_ONE_VOCABULARY,
        "data.source": ("",),
        "tokenizer.sampling": (0.0,),
        "training.r_drop": (0.0,),
        "validation.metric": ("loss",),
    },
)
CLASSIFICATION = Task(
    name="classification",
    title="recurrent classifier",
    source="text",
    target="label",
    report="label scores",
    commands=("classify", "evaluate"),
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
        "validation.metric": ("accuracy", "loss"),
    },
)
TAGGING = Task(
    name="tagging",
    title="recurrent tagger",
    source="words",
    target="word labels",
    report="label scores",
    commands=("tag", "evaluate"),
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
        "validation.metric": ("accuracy", "loss"),
    },
)
GENERATION = Task(
    name="generation",
    title="recurrent generator",
    source="condition",
    target="text",
    report="perplexity",
    commands=("generate", "evaluate"),
    example='seq2seq generate FOLDER --given "..."',
    pipeline_tag="text-generation",
    defaults={
        "encoder": {"kind": "label"},
        "context": {"kind": "fixed"},
        "validation": {"metric": "loss"},
    },
    allowed={
        **_ONE_VOCABULARY,
        **_NO_TEXT_MODEL,
        "encoder.kind": ("label", "vector"),
        "context.kind": ("fixed",),
        "validation.metric": ("loss",),
    },
)

TASKS: dict[str, Task] = {
    task.name: task
    for task in (TRANSLATION, ALIGNED, LANGUAGE_MODEL, CLASSIFICATION, TAGGING, GENERATION)
}


def find_task(name: str) -> Task:
    """The task of that name. Raises ValueError, with all names, for another one."""
    if name not in TASKS:
        known = ", ".join(map(repr, TASKS))
        raise ValueError(f"{name!r} is no task{did_you_mean(name, TASKS)}; the tasks are {known}")
    return TASKS[name]
