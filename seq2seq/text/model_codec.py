"""The tokenizers, labels and features of the model that a run starts from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from seq2seq.errors import UserError
from seq2seq.text.codec import Codec
from seq2seq.text.example import Example
from seq2seq.text.labels import LabelSet, label_column

_FEW = 20  # labels that a message names


@dataclass(frozen=True)
class ModelCodec:
    """The tokenizers, labels and features of the model that a run starts from.

    codec: the tokenizers, labels and features; None if data is reused that is already encoded.
    digest: a hash of the tokenizers, labels and features.
    name: the name of the model in messages.
    """

    codec: Codec | None
    digest: str
    name: str

    def check_labels(self, splits: Mapping[str, Iterable[Example]]) -> None:
        """Check that the model knows all labels of the data.

        splits: The examples of each split.
        Raises UserError with the labels that the model does not know.
        """
        if self.codec is None or not isinstance(labels := self.codec.labels, LabelSet):
            return
        column = label_column(self.codec.task)
        assert column is not None
        known = set(labels.names)
        for split, examples in splits.items():
            used = {name for example in examples for name in getattr(example, column).split(" ")}
            if unknown := sorted(used - known):
                raise UserError(
                    f"cannot start from the model {self.name}: unknown "
                    f"label{'s' * (len(unknown) > 1)} {_some([*map(repr, unknown)])} in "
                    f"data.{split}; the labels of the model are: {_some(labels.names)}. Remove the "
                    "rows with other labels, or train without --from"
                )


def _some(names: Sequence[str]) -> str:
    """Return the first names, with commas between them."""
    return ", ".join(names[:_FEW]) + (", ..." if len(names) > _FEW else "")
