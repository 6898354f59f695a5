"""Filter the training examples, check their labels, and count what is dropped and why."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from seq2seq.config.schema import Config
from seq2seq.errors import UserError, counted
from seq2seq.text import corpus, data_files
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import EncodedChunk
from seq2seq.text.example import Example, example_digest
from seq2seq.text.labels import LabelSet, VectorFormat, check_label_count, label_column
from seq2seq.text.memory import MemoryData

_log = logging.getLogger(__name__)


def filter_examples(
    examples: Iterable[Example], *, drop_duplicates: bool, counts: Counter[str]
) -> Iterator[Example]:
    """Yield the examples that are usable for training.

    Drop an example if its source or its target is blank. With `drop_duplicates`, also drop exact
    repetitions of earlier examples. Add to `counts` the number of all examples ("read") and the
    numbers of dropped examples ("empty" and "duplicate").

    To find duplicates, keep a set of 16-byte hashes in memory. The set takes 90 to 140 bytes per
    example, that is, 0.9 to 1.4 GB for ten million examples. The probability that two different
    examples out of ten million have the same hash is below 1e-24.
    """
    seen: set[bytes] = set()
    for example in examples:
        counts["read"] += 1
        if not (example.source.strip() and example.target.strip()):
            counts["empty"] += 1
            continue
        if drop_duplicates:
            digest = example_digest(example)
            if digest in seen:
                counts["duplicate"] += 1
                continue
            seen.add(digest)
        yield example


def length_problem(
    source_length: int, target_length: int, *, max_tokens: int, max_ratio: float
) -> str | None:
    """Return why to drop an example: "too long" or "length ratio". Return None to keep the example.

    Args:
        source_length: The length of the source in subwords.
        target_length: The length of the target in subwords.
        max_tokens: The maximum length of the source and of the target, in subwords.
        max_ratio: The maximum ratio of the larger length to the smaller length. 0 means no limit.
    """
    shorter, longer = sorted((source_length, target_length))
    if longer > max_tokens:
        return "too long"
    # Divide instead of multiplying max_ratio by the shorter length. 1.15 * 100 is rounded to
    # below 115, so a product would drop a pair that is exactly at the limit.
    if max_ratio and (longer / shorter if shorter else math.inf) > max_ratio:
        return "length ratio"
    return None


def filter_lengths(
    chunks: Iterable[EncodedChunk], config: Config, counts: Counter[str]
) -> Iterator[EncodedChunk]:
    """Drop the examples whose lengths are outside the limits. Yield the other examples in chunks.

    Add the number of dropped examples to `counts`, by reason.
    """
    data = config.data
    for chunk in chunks:
        kept = []
        lengths = zip(map(len, chunk.ids["source"]), map(len, chunk.ids["target"]), strict=True)
        for row, (source, target) in enumerate(lengths):
            reason = length_problem(
                source, target, max_tokens=data.max_tokens, max_ratio=data.max_ratio
            )
            if reason is None and config.task.same_length and source != target:
                reason = "of two lengths"
            if reason is None:
                kept.append(row)
            else:
                counts[reason] += 1
        yield chunk if len(kept) == len(chunk.examples) else chunk.select(kept)


def check_training_labels(
    train: Iterable[Example], config: Config, memory: MemoryData | None
) -> Iterator[Example]:
    """Check that each training example has the labels or the vector that its task needs.

    Yield all examples. Examples with a blank source or target are not checked, because
    `filter_examples` drops them. Raises UserError, with the place of the row, for wrong labels or
    vectors.
    """
    vector = VectorFormat(config.encoder.vector_size) if config.encoder.kind == "vector" else None

    def check(example: Example) -> None:
        if not (example.source.strip() and example.target.strip()):
            return
        if vector is None:
            check_label_count(config.task, example)
        else:
            vector.encode([example.source])

    return check_each(
        train, lambda number: corpus.locate_example(config.data, "target", number, memory), check
    )


def check_known_labels(
    valid: Iterable[Example], codec: Codec, config: Config, name: str, memory: MemoryData | None
) -> None:
    """Check the labels or vectors of the examples of a validation set.

    name: The name of the set, or "".
    Raises UserError, with the place of the row, for a label that does not occur in the training
    data, a wrong number of labels, or an invalid vector.
    """
    labels, column = codec.require_labels(), label_column(codec.task)
    assert column is not None

    def check(example: Example) -> None:
        if isinstance(labels, LabelSet):
            check_label_count(codec.task, example)
        labels.encode([getattr(example, column)])

    data = corpus.validation_sets(config, memory)[name]
    for _ in check_each(valid, partial(corpus.locate_row, data, "valid", memory=memory), check):
        pass


def check_each(
    examples: Iterable[Example], place: Callable[[int], str], check: Callable[[Example], object]
) -> Iterator[Example]:
    """Yield the examples after calling `check` on each of them.

    If `check` raises UserError, add the place of the row to its message.
    """
    for number, example in enumerate(examples, start=1):
        try:
            check(example)
        except UserError as error:
            raise UserError(f"{place(number)}: {error}") from None
        yield example


def held_out_digests(
    config: Config, valid: Iterable[Example], memory: MemoryData | None = None
) -> dict[str, set[bytes]]:
    """Return the hashes of the examples in the validation set and the test set, by set name."""
    digests = {"valid": set(map(_pair_digest, valid))}
    if data_files.has_split(config.data, "test", memory):
        test = corpus.read_examples(config.data, "test", memory, config.features)
        try:
            digests["test"] = set(map(_pair_digest, test))
        except UserError as error:
            if config.data.test is not None:
                raise
            # The default configuration of a hub dataset names a test split, but not every dataset
            # has one.
            _log.warning("the training data cannot be compared with a test set: %s", error)
    return digests


def _pair_digest(example: Example) -> bytes:
    """Return the hash of the source and the first target of an example.

    Training examples have no further references, so a hash of all references would never match.
    """
    return example_digest(example._replace(references=()))


def count_leaks(
    examples: Iterable[Example],
    held_out: dict[str, set[bytes]],
    counts: Counter[str],
    first: dict[str, int],
) -> Iterator[Example]:
    """Yield the examples, and count how many of them also occur in each held-out set.

    examples: the examples that `filter_examples` yields.
    held_out: the hashes of the examples of each held-out set, by the name of the set.
    counts: the counts of `filter_examples`. They also receive each result under the key "also in
        <name of the set>".
    first: receives the number of the first such example in the unfiltered data, by the name of the
        set.
    """
    for example in examples:
        digest = example_digest(example)
        for name, digests in held_out.items():
            counts[f"also in {name}"] += digest in digests
            if digest in digests:
                first.setdefault(name, counts["read"])
        yield example


def warn_of_leaks(
    counts: Counter[str], first: Mapping[str, int], place: Callable[[int], str]
) -> None:
    """Log a warning for each held-out set that shares examples with the training set.

    counts, first: the results of `count_leaks`.
    place: a function that returns where a training example is. Its argument is the number of the
        example, counted from 1.
    """
    for name, number in first.items():
        _log.warning(
            "%s: the %s set contains %s, so scores on this set are too high; remove these pairs "
            "from the training data",
            place(number),
            name,
            counted(counts[f"also in {name}"], "training pair"),
        )


def summarize(counts: Counter[str]) -> str:
    """Return a one-line summary of how many examples were read, kept and dropped."""
    reasons = {"empty": "empty", "duplicate": "duplicate", "too long": "too long"}
    reasons["length ratio"] = "above the maximum length ratio"
    reasons["of two lengths"] = "with sides of different lengths"
    dropped = ", ".join(f"{counts[key]:,} {text}" for key, text in reasons.items() if counts[key])
    if not counts["read"]:
        return counted(counts["kept"], "line")
    kept = f"{counts['read']:,} read, {counts['kept']:,} kept"
    if copies := counts["in capitals"]:
        kept += f" (among them {copies:,} copies in capitals)"
    return kept + (f"; dropped: {dropped}" if dropped else "; none dropped")
