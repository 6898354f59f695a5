"""Check the features of the examples of a corpus."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from operator import itemgetter

from seq2seq.config.schema import Config
from seq2seq.errors import counted
from seq2seq.text.codec import Codec
from seq2seq.text.compared_form import report_changed_references
from seq2seq.text.corpus import locate_example, read_examples, validation_sets
from seq2seq.text.example import Example
from seq2seq.text.memory import MemoryData, Split
from seq2seq.text.model_codec import ModelCodec
from seq2seq.text.text_checks import warn_of_empty_items

_log = logging.getLogger(__name__)

_FEW = 5  # unknown features that a message names
_SEPARATORS = "|;+&"  # usual strings between two features


def check_separator(
    examples: Iterable[Example], config: Config, place: Callable[[int], str]
) -> Iterator[Example]:
    """Yield the examples. Warn if another separator of features is likely.

    place: A function that returns where an example is. Its argument is the number of the example,
        counted from 1.
    """
    separator = config.features.separator
    others = [mark for mark in _SEPARATORS if mark not in separator]
    rows, separated, found = 0, 0, Counter[str]()
    first: dict[str, int] = {}  # the first example with each mark
    for rows, example in enumerate(examples, start=1):
        for text in example.features:
            separated += separator in text
            for mark in others:
                if mark in text:
                    found[mark] += 1
                    first.setdefault(mark, rows)
        yield example
    likely, count = max(found.items(), key=itemgetter(1), default=("", 0))
    if not separated and 2 * count > rows:
        _log.warning(
            "%s: no features contain the separator %r, but those of %s contain %r; set "
            "features.separator",
            place(first[likely]),
            separator,
            counted(count, "row"),
            likely,
        )


def check_training_features(
    examples: Iterable[Example],
    config: Config,
    place: Callable[[int], str],
    start: ModelCodec | None,
) -> Iterator[Example]:
    """Yield the training examples. Warn of a wrong separator and of features that are left out.

    The arguments are those of `check_separator` and of `report_unknown_features`.
    """
    examples = check_separator(examples, config, place)
    if start is None or start.codec is None:
        return examples
    return report_unknown_features(examples, start.codec, place, "train", start)


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
        place = partial(locate_example, part, memory=memory, split="valid")
        sets[name] = list(check_separator(examples, config, partial(place, "source")))
        warn_of_empty_items(sets[name], config, place)
        report_changed_references(sets[name], config, place)
    return sets


def report_unknown_features(
    examples: Iterable[Example],
    codec: Codec,
    place: Callable[[int], str],
    split: Split,
    start: ModelCodec | None,
) -> Iterator[Example]:
    """Yield the examples. Warn if the codec does not know some of their features.

    place: A function that returns where an example is. Its argument is the number of the example,
        counted from 1.
    split: The split of the examples, "train" or "valid".
    start: The model that the run starts from, whose codec this is. None if the codec was learned
        from the training data.
    """
    lines, first, names = 0, 0, Counter[str]()
    for number, example in enumerate(examples, start=1):
        if codec.features is not None:
            unknown = [name for text in example.features for name in codec.features.unknown(text)]
            names.update(unknown)
            lines += bool(unknown)
            first = first or (number if unknown else 0)
        yield example
    if not lines:
        return
    affected = counted(lines, "training example" if split == "train" else "validation example")
    _log.warning(
        "%s: %s; these features are left out%s: %s%s",
        place(first),
        f"the features of {affected} do not all occur in the training data"
        if start is None
        else f"the model {start.name} does not know all features of {affected}",
        " (to learn them, train without --from)" if split == "train" else "",
        ", ".join(repr(name) for name, _ in names.most_common(_FEW)),
        ", ..." if len(names) > _FEW else "",
    )
