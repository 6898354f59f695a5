"""Check the features of the examples of a corpus."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from operator import itemgetter

from seq2seq.config.schema import Config
from seq2seq.errors import counted
from seq2seq.text.codec import Codec
from seq2seq.text.compared_form import report_changed_references
from seq2seq.text.corpus import locate_example, read_examples, validation_sets
from seq2seq.text.example import Example
from seq2seq.text.memory import MemoryData
from seq2seq.text.text_checks import warn_of_empty_items

_log = logging.getLogger(__name__)

_FEW = 5  # unknown features that a message names
_SEPARATORS = "|;+&"  # usual strings between two features


def check_separator(examples: Iterable[Example], config: Config, split: str) -> Iterator[Example]:
    """Yield the examples. Warn if another separator of features is likely.

    split: The data set, such as "train" or "valid.news".
    """
    separator = config.features.separator
    others = [mark for mark in _SEPARATORS if mark not in separator]
    rows, separated, found = 0, 0, Counter[str]()
    for example in examples:
        rows += 1
        for text in example.features:
            separated += separator in text
            found.update(mark for mark in others if mark in text)
        yield example
    likely, count = max(found.items(), key=itemgetter(1), default=("", 0))
    if not separated and 2 * count > rows:
        _log.warning(
            "data.%s: no features contain the separator %r, but those of %s contain %r; set "
            "features.separator",
            split,
            separator,
            counted(count, "row"),
            likely,
        )


def valid_title(name: str) -> str:
    """Return the name of a validation set in messages, such as "valid.news"."""
    return f"valid.{name}" if name else "valid"


def read_valid_sets(config: Config, memory: MemoryData | None) -> dict[str, list[Example]]:
    """Return the examples of each validation set, by name. Warn of empty sources and targets.

    Raises UserError for wrong features.
    """
    sets = {}
    for name, part in validation_sets(config, memory).items():
        examples = read_examples(part, "valid", memory, config.features)
        sets[name] = list(check_separator(examples, config, valid_title(name)))
        place = partial(locate_example, part, memory=memory, split="valid")
        warn_of_empty_items(sets[name], config, place)
        report_changed_references(sets[name], config, place)
    return sets


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
