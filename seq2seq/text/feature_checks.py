"""Check the features of the examples of a corpus."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from seq2seq.config.schema import Config
from seq2seq.errors import counted
from seq2seq.text.codec import Codec
from seq2seq.text.corpus import read_examples, validation_sets
from seq2seq.text.example import Example
from seq2seq.text.memory import MemoryData

_log = logging.getLogger(__name__)

_FEW = 5  # unknown features that a message names


def valid_title(name: str) -> str:
    """Return the name of a validation set in messages, such as "valid.news"."""
    return f"valid.{name}" if name else "valid"


def read_valid_sets(config: Config, memory: MemoryData | None) -> dict[str, list[Example]]:
    """Return the examples of each validation set, by name. Raises UserError for wrong features."""
    return {
        name: list(read_examples(part, "valid", memory, config.features))
        for name, part in validation_sets(config, memory).items()
    }


def report_unknown_features(examples: Iterable[Example], codec: Codec, name: str) -> None:
    """Log how many examples have features that the training data does not contain.

    name: The name of the data set in the message.
    """
    if codec.features is None:
        return
    lines, names = 0, Counter[str]()
    for example in examples:
        unknown = [name for text in example.features for name in codec.features.unknown(text)]
        names.update(unknown)
        lines += bool(unknown)
    if lines:
        named = ", ".join(repr(name) for name, _ in names.most_common(_FEW))
        _log.warning(
            "%s: the features of %s do not all occur in the training data; these features are left "
            "out: %s%s",
            name,
            counted(lines, "example"),
            named,
            ", ..." if len(names) > _FEW else "",
        )
