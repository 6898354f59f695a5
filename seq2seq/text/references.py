"""Further references: each one is read like the target side, and joins the example of its row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seq2seq.config.schema import DataConfig
from seq2seq.text.example import Example


def reference_sides(data: DataConfig) -> list[DataConfig]:
    """Return one `[data]` section for each further reference. Its target is this reference."""
    return [
        data.model_copy(update={"target": str(name), "target_column": name, "references": []})
        for name in data.references
    ]


def with_references(
    examples: Iterator[Example], others: Sequence[Iterator[Example]]
) -> Iterator[Example]:
    """Yield the examples. The targets of `others` become their further references."""
    if not others:
        return examples
    return (
        example._replace(references=tuple(other.target for other in same_row))
        for example, *same_row in zip(examples, *others, strict=True)
    )
