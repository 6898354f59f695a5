"""The operations, such as translation, that a worker process performs with a loaded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seq2seq.decoding.options import PlainSearch
from seq2seq.decoding.source_options import SourceOptions

if TYPE_CHECKING:  # it takes half a second to import
    from seq2seq.decoding.load import AnyModel

Verb = Literal["translate", "generate", "label", "score", "measure", "continue"]

_UNLIKE = 3  # a text that is this many times as long starts another window
_WIDE, _LONG = 8, 100  # hypotheses and tokens of an operation that is heavy
_SMALL = 120  # characters; shorter texts are alike


@dataclass(frozen=True)
class Operation:
    """An operation of one model on texts. Texts with equal operations can share a batch.

    model: the name of the model.
    verb: the kind of operation.
    search: the options of the search, for a verb that generates text.
    source: the options for preparing lines for the search.
    align: whether to compute alignments.
    length_penalty: the exponent of the length in the score of a given translation.
    """

    model: str
    verb: Verb
    search: PlainSearch | None = None
    source: SourceOptions = field(default_factory=SourceOptions)
    align: bool = False
    length_penalty: float = 0.0

    @property
    def is_heavy(self) -> bool:
        """Whether a single text may take long: a wide beam, constraints, or one long output."""
        if self.verb in ("measure", "continue"):
            return True
        if self.search is None:
            return False
        search = self.search
        wide = max(search.n_best, getattr(search, "beam", 1)) > _WIDE
        return (
            wide or search.is_constrained or max(search.min_length, search.max_length or 0) > _LONG
        )


@dataclass(frozen=True)
class Labels:
    """The labels of a text, as a worker returns them.

    labels: one label for each word (tagger), or one label (classifier). Empty for a blank text.
    probabilities: the probabilities of all labels, for each entry of `labels`.
    notes: the kind and the text of each note.
    """

    labels: list[str]
    probabilities: list[list[float]]
    notes: list[tuple[str, str]]


def perform(
    model: Any, operation: Operation, items: Sequence[Any], is_wanted: Callable[[], bool]
) -> Iterator[tuple[list[Any], int]]:
    """Perform an operation on a batch. Yield results, and the number of tokens read for them.

    The results are in the order of the items.

    items: lines ("translate", "label"), conditions ("generate"), pairs of source and target
        ("score"), texts ("measure") or one prompt ("continue"). If the items are sorted by length,
        the short ones are finished first.
    is_wanted: returns whether somebody still waits for the results.

    The verb "continue" yields pieces of one text instead.
    """
    if operation.verb == "continue":
        (prompt,) = items
        for piece in model.stream(prompt, operation.search):
            if not is_wanted():
                return
            yield [piece], 1
        return
    for window in alike_windows(items):
        yield _perform_window(model, operation, window)


def _perform_window(model: Any, operation: Operation, items: list[Any]) -> tuple[list[Any], int]:
    verb = operation.verb
    if verb == "translate":
        from seq2seq.decoding.line_search import LineSearch

        search: Any = operation.search
        model.require_fitting(search, operation.align, operation.source)
        lines = LineSearch(model, search, operation.source, align=operation.align)
        return list(lines.run([items])), lines.tokens
    if verb == "generate":
        return list(model.stream(items, operation.search)), 0
    if verb == "label":
        return [_labels(labelling) for labelling in model.stream(items)], _count(model, items)
    if verb == "score":
        sources, targets = map(list, zip(*items, strict=True))
        return model.score(sources, targets, operation.length_penalty), _count(model, sources)
    measured = [model.perplexity(text) for text in items]
    return measured, sum(result.tokens for result in measured)


def _labels(labelling: Any) -> Labels:
    notes = [(note.kind, note.text.partition(": ")[2]) for note in labelling.notes]
    return Labels(labelling.labels, labelling.probabilities.round(6).tolist(), notes)


def _count(model: Any, lines: Sequence[str]) -> int:
    return sum(map(len, model.codec.source_ids(lines)))


def alike_windows(items: Sequence[Any]) -> Iterator[list[Any]]:
    """Divide items that are sorted by length into windows of similar lengths.

    Short lines are then finished before the long lines of their batch.
    """
    window: list[Any] = []
    for item in items:
        if window and size_of(item) > max(_SMALL, _UNLIKE * size_of(window[0])):
            yield window
            window = []
        window.append(item)
    if window:
        yield window


def size_of(item: Any) -> int:
    """Return the number of characters of an item of a batch."""
    if isinstance(item, tuple):
        return sum(map(size_of, item))
    return len(item) if isinstance(item, str) else 1


def list_labels(model: AnyModel) -> list[str]:
    """Return the labels that a model predicts or takes as its input, or an empty list."""
    names = getattr(model, "names", None)
    if names is None:
        translator = getattr(model, "translator", None)
        names = getattr(getattr(translator, "codec", None), "labels", None)
        names = getattr(names, "names", None)
    return list(names or ())
