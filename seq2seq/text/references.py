"""Read further columns of an example: its features, and several references. References can also
stand in one column, or in several rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from seq2seq.config.data_section import DataConfig
from seq2seq.config.features_section import FeaturesConfig
from seq2seq.errors import UserError
from seq2seq.text.example import Example
from seq2seq.text.features import feature_problem


def reference_sides(data: DataConfig) -> list[DataConfig]:
    """Return one `[data]` section for each entry of `data.references`, which becomes the target."""
    return [_with_target(data, name) for name in data.references]


def feature_side(data: DataConfig) -> DataConfig | None:
    """Return a `[data]` section with the features as the target, or None without features."""
    return None if data.features is None else _with_target(data, data.features)


def _with_target(data: DataConfig, name: str | int) -> DataConfig:
    other: dict[str, Any] = {
        "target": str(name),
        "target_column": name,
        "references": [],
        "features": None,
    }
    return data.model_copy(update=other)


def with_references(
    examples: Iterator[Example], others: Sequence[Iterator[Example]]
) -> Iterator[Example]:
    """Yield the examples, and add the targets of `others` to them as further references."""
    if not others:
        return examples
    return (
        example._replace(references=tuple(other.target for other in same_row))
        for example, *same_row in zip(examples, *others, strict=True)
    )


def with_features(
    data: DataConfig, examples: Iterator[Example], read: Callable[[DataConfig], Iterator[Example]]
) -> Iterator[Example]:
    """Yield the examples with their features, if `data` names features.

    read: A function that reads the same examples again, with the features as their targets. Its
        argument is the `[data]` section to read by.
    """
    side = feature_side(data)
    if side is None:
        return examples
    return (
        example._replace(features=(other.target,))
        for example, other in zip(examples, read(side), strict=True)
    )


def check_features(
    examples: Iterator[Example], place: Callable[[int], str], settings: FeaturesConfig
) -> Iterator[Example]:
    """Yield the examples, and check their features, as `feature_problem` does.

    place: A function that returns where a row is, for messages. Its argument is the row number,
        counted from 1.
    Raises UserError for wrong features.
    """
    for number, example in enumerate(examples, start=1):
        for features in example.features:
            if problem := feature_problem(example.source, features, settings):
                raise UserError(f"{place(number)}: {problem}")
        yield example


def expand_targets(
    data: DataConfig, examples: Iterable[Example], place: Callable[[int], str], *, training: bool
) -> Iterator[Example]:
    """Apply `data.alternatives` and `data.merge_sources` to the examples. Yield the new examples.

    In training, each alternative target becomes an example of its own. Otherwise the alternatives
    become further references, and `data.merge_sources` merges examples with the same source and
    features.

    place: As for `check_features`.
    training: Whether the examples are training examples.
    Raises UserError for an empty alternative.
    """
    if not training:
        return _gather_references(data, iter(examples), place)
    if not data.alternatives:
        return iter(examples)
    return (
        example._replace(target=target)
        for number, example in enumerate(examples, start=1)
        for target in _alternatives(example.target, data.alternatives, place, number)
    )


def row_of_pair(examples: Iterator[Example], mark: str, number: int) -> int:
    """Return the row of a training pair. Each alternative target of a row is a pair.

    mark: The string between two alternatives.
    number: The number of the pair. Pairs and rows are counted from 1.
    """
    for row, example in enumerate(examples, start=1):
        number -= len(_alternatives(example.target, mark, str, row))
        if number <= 0:
            return row
    raise ValueError("there are fewer pairs")


def _gather_references(
    data: DataConfig, examples: Iterator[Example], place: Callable[[int], str]
) -> Iterator[Example]:
    """Yield the examples of a validation or test set, without repeated references."""
    if data.alternatives:
        examples = _with_alternatives(examples, data.alternatives, place)
    if not data.merge_sources:
        return examples
    merged: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for example in examples:
        targets = merged.setdefault((example.source, example.features), [])
        targets.extend((example.target, *example.references))
    return (
        Example(source, target, features, tuple(more))
        for (source, features), targets in merged.items()
        for target, *more in [dict.fromkeys(targets)]
    )


def _with_alternatives(
    examples: Iterator[Example], mark: str, place: Callable[[int], str]
) -> Iterator[Example]:
    for number, example in enumerate(examples, start=1):
        lines = (example.target, *example.references)
        target, *more = (one for line in lines for one in _alternatives(line, mark, place, number))
        yield example._replace(target=target, references=tuple(more))


def _alternatives(line: str, mark: str, place: Callable[[int], str], number: int) -> list[str]:
    """Return the different alternatives of a target, without white space at their ends.

    mark: The string between two alternatives.
    place: As for `check_features`.
    number: The row number, for messages.
    """
    targets = [target.strip() for target in line.split(mark)]
    if len(targets) > 1 and not all(targets):
        raise UserError(
            f"{place(number)}: one of the targets in {line[:60]!r} is empty; remove the "
            f"{mark!r} without a target beside it, or change data.alternatives"
        )
    return list(dict.fromkeys(targets)) if len(targets) > 1 else [line]
