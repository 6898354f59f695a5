"""Which examples are kept for training, which are refused, and what is counted of the rest."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text import corpus
from seq2seq.text.codec import Codec, check_label_count, label_column
from seq2seq.text.dataset import EncodedChunk
from seq2seq.text.example import Example, example_digest
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.memory import MemoryData

_log = logging.getLogger(__name__)


def filter_examples(
    examples: Iterable[Example], *, drop_duplicates: bool, counts: Counter[str]
) -> Iterator[Example]:
    """Keep the examples that can be learned from; an example is dropped whole, never in part.

    Drops an example with a side that is blank after strip() and, with `drop_duplicates`, an exact
    repeat of an earlier one. Adds to `counts`: "read" (all), "empty" and "duplicate" (dropped).

    Remembers 16 bytes of digest for each example that it keeps, in a set: 90 to 140 bytes of memory
    an example as Python stores them, so 0.9 to 1.4 GB for ten million. Two different examples are
    taken for repeats with a probability below 1e-24 then.
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
    """None for an example to keep, else why not: "too long" or "length ratio".

    Lengths in subwords, at most `max_tokens` each; `max_ratio` is the most that the longer may be
    of the shorter, 0 for no limit.
    """
    shorter, longer = sorted((source_length, target_length))
    if longer > max_tokens:
        return "too long"
    # A quotient: a product would round 1.15 * 100 down and drop one that is just at the limit.
    if max_ratio and (longer / shorter if shorter else math.inf) > max_ratio:
        return "length ratio"
    return None


def filter_lengths(
    chunks: Iterable[EncodedChunk], config: Config, counts: Counter[str]
) -> Iterator[EncodedChunk]:
    """Keep the examples whose lengths are within the limits; counts the others by reason."""
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


def check_training_labels(train: Iterable[Example], config: Config) -> Iterator[Example]:
    """Pass on the examples, each with the labels or the vector that it needs. Lets blank ones pass,
    which `filter_examples` drops."""
    vector = VectorFormat(config.encoder.vector_size) if config.encoder.kind == "vector" else None

    def check(example: Example) -> None:
        if not (example.source.strip() and example.target.strip()):
            return
        if vector is None:
            check_label_count(config.task, example)
        else:
            vector.encode([example.source])

    return _checked(train, "train", check)


def check_known_labels(valid: Iterable[Example], codec: Codec) -> None:
    """Raises UserError, naming the row, for labels that training does not have, or too few."""
    labels, column = codec.require_labels(), label_column(codec.task)
    assert column is not None

    def check(example: Example) -> None:
        if isinstance(labels, LabelSet):
            check_label_count(codec.task, example)
        labels.encode([getattr(example, column)])

    for _ in _checked(valid, "valid", check):
        pass


def _checked(
    examples: Iterable[Example], split: str, check: Callable[[Example], object]
) -> Iterator[Example]:
    """Pass on the examples. Raises UserError, naming the row, for one that `check` refuses."""
    for number, example in enumerate(examples, start=1):
        try:
            check(example)
        except UserError as error:
            raise UserError(f"data.{split}, row {number}: {error}") from None
        yield example


def held_out_digests(
    config: Config, valid: Iterable[Example], memory: MemoryData | None = None
) -> dict[str, set[bytes]]:
    """The digests of the examples that training should not see, by the name of their set."""
    digests = {"valid": {example_digest(example) for example in valid}}
    if corpus.has_split(config.data, "test", memory):
        test = corpus.read_examples(config.data, "test", memory)
        try:
            digests["test"] = {example_digest(example) for example in test}
        except UserError as error:
            if config.data.test is not None:
                raise
            # A hub dataset is asked for a test set by default, and need not have one.
            _log.warning("without a test set: %s", error)
    return digests


def count_leaks(
    examples: Iterable[Example], held_out: dict[str, set[bytes]], counts: Counter[str]
) -> Iterator[Example]:
    """Pass on the examples; counts, as "also in <set>", those that are in a held-out set too."""
    for example in examples:
        digest = example_digest(example)
        for name, digests in held_out.items():
            counts[f"also in {name}"] += digest in digests
        yield example


def warn_of_leaks(counts: Counter[str], names: Iterable[str]) -> None:
    """Log a warning for each held-out set that training has examples of."""
    for name in names:
        if counts[f"also in {name}"]:
            _log.warning(
                "%d training pairs are also in the %s set: its scores flatter the model",
                counts[f"also in {name}"],
                name,
            )


def summarize(counts: Counter[str]) -> str:
    """What was read, kept and dropped, in a line for the log."""
    reasons = ("empty", "duplicate", "too long", "length ratio", "of two lengths")
    dropped = ", ".join(f"{counts[name]:,} {name}" for name in reasons if counts[name])
    if not counts["read"]:
        return f"{counts['kept']:,} lines"
    kept = f"{counts['read']:,} read, {counts['kept']:,} kept"
    return kept + (f"; dropped: {dropped}" if dropped else "; none dropped")
