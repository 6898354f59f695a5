"""Prepare the data of a run: read and filter it, learn the subwords, and store the encoded data."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.files import atomic_folder
from seq2seq.progress import show_progress, track
from seq2seq.text import corpus, filtering
from seq2seq.text.codec import Codec
from seq2seq.text.data_digest import data_digest
from seq2seq.text.dataset import Dataset, EncodedChunk, chunk_examples, encode_examples
from seq2seq.text.example import Example
from seq2seq.text.feature_checks import (
    check_training_features,
    read_valid_sets,
    report_unknown_features,
    valid_title,
)
from seq2seq.text.memory import MemoryData
from seq2seq.text.model_codec import ModelCodec
from seq2seq.text.prepared_stamp import STAMP_FILE, damaged_file, read_stamp, write_stamp
from seq2seq.text.statistics import TextStatistics
from seq2seq.text.text_changes import NormalizationCount, add_capitals, report_unknown_tokens
from seq2seq.text.text_checks import TextCheck
from seq2seq.text.vocabulary import learn_codec, write_actions

_log = logging.getLogger(__name__)

_TRAIN, _VALID = "train.arrow", "valid.arrow"
_MEASURED = 100_000  # lines that are searched for several sentences and tags


@dataclass(frozen=True)
class PreparedData:
    """Prepared data on disk.

    folder: the folder of the prepared data.
    codec: the tokenizers and labels that encode the examples.
    train: the encoded training examples.
    valid: the encoded validation examples on which the best weights are chosen.
    other_valid: the encoded examples of the other validation sets, by name.
    """

    folder: Path
    codec: Codec
    train: Dataset
    valid: Dataset
    other_valid: dict[str, Dataset] = field(default_factory=dict)

    def digest(self) -> str:
        """Return a hash of the vocabularies and of the lengths of all examples.

        If two machines have prepared the same data, their hashes are equal.
        """
        hashed = hashlib.blake2b(digest_size=16)
        for content in self.codec.files().values():
            hashed.update(content)
        for dataset in (self.train, self.valid, *self.other_valid.values()):
            hashed.update(np.ascontiguousarray(dataset.lengths).data)
        return hashed.hexdigest()


def prepare_data(
    config: Config,
    folder: Path,
    threads: int = 1,
    *,
    in_use: bool = False,
    memory: MemoryData | None = None,
    start: ModelCodec | None = None,
) -> PreparedData:
    """Prepare the codec and the encoded data in `folder`, or reuse existing prepared data.

    Existing data is reused only if the settings and the input data have not changed.

    Args:
        config: The configuration of the model.
        folder: The folder for the prepared data.
        threads: The number of threads for encoding.
        in_use: Whether a run has already trained on the existing data. If so, a change of the data
            raises an error.
        memory: The splits that a Python program passes in memory instead of in files.
        start: The tokenizers and labels of an earlier model. If None, they are learned.

    Raises UserError for a mistake in the corpus, for data in use that has changed, and for a folder
    that contains other files.
    """
    digest = data_digest(config, memory, "" if start is None else start.digest)
    stamped, sums = read_stamp(folder)
    required = {_TRAIN: None, _VALID: None, **sums}
    damaged = damaged_file(folder, required) if stamped == digest else None
    if stamped == digest and damaged is None:
        _log.debug("%s: reusing the prepared data", folder)
        learned = Codec.load(folder, config)
    else:
        _check_replacement(folder, damaged, in_use=in_use)
        with atomic_folder(folder) as temporary:
            learned, counts = _prepare(config, temporary, threads, memory, start)
            write_stamp(temporary, digest, counts)
    _, *others = corpus.validation_sets(config, memory)
    return PreparedData(
        folder,
        learned,
        Dataset.open(folder / _TRAIN),
        Dataset.open(folder / _VALID),
        {name: Dataset.open(folder / _valid_file(name)) for name in others},
    )


def _check_replacement(folder: Path, damaged: Path | None, *, in_use: bool) -> None:
    """Raise UserError if the content of a folder must not be replaced. Otherwise log the reason.

    damaged: a damaged file of the data, or None if the settings or the corpus changed.
    """
    if in_use and damaged:
        raise UserError(
            f"{damaged}: the prepared data is damaged; start a new run in another folder with --out"
        )
    if in_use:
        raise UserError(
            f"{folder}: cannot resume, because the corpus or the settings in [data] or "
            "[tokenizer] have changed since the run started; start a new run in another folder "
            "with --out"
        )
    if damaged:
        _log.warning("%s is missing or damaged; preparing the data again", damaged)
    elif (folder / STAMP_FILE).exists():
        _log.info("the settings or the corpus changed; preparing the data in %s again", folder)
    elif folder.exists() and any(folder.iterdir()):
        raise UserError(
            f"{folder} contains files that are not prepared data and would be deleted; choose "
            "another folder with --out"
        )


def _valid_file(name: str) -> str:
    """Return the file name of a validation set that does not choose the weights."""
    return f"valid.{name}.arrow"


def _prepare(
    config: Config, folder: Path, threads: int, memory: MemoryData | None, start: ModelCodec | None
) -> tuple[Codec, dict[str, int]]:
    """Prepare the data in `folder`. Return the codec and how many examples were read and dropped.

    start: The codec to use; None to learn one.
    """
    data = config.data
    counts: Counter[str] = Counter()
    valid_sets = read_valid_sets(config, memory)
    held_out: dict[str, set[bytes]] = {}
    normalized, checked = NormalizationCount(config), TextCheck(config)
    place = partial(corpus.locate_example, data, "source", memory=memory)
    rows = track(corpus.read_examples(data, "train", memory, config.features), "reading the corpus")
    rows = check_training_features(rows, config, place, start)
    train = normalized.count(checked.check(rows))
    if data.source:  # the text of a language model keeps all its lines
        held_out = filtering.held_out_digests(config, chain(*valid_sets.values()), memory)
        train = filtering.check_training_labels(train, config, memory)
        train = filtering.filter_examples(
            train, drop_duplicates=data.drop_duplicates, counts=counts
        )
    # Write the filtered text to disk first. It is read twice: to learn the subwords, and to encode.
    text_file = folder / "text.arrow"
    leaked: dict[str, int] = {}
    Dataset.write(text_file, _without_ids(filtering.count_leaks(train, held_out, counts, leaked)))
    text = Dataset.open(text_file)
    text_file.unlink()  # the memory-mapped data stays readable until it is closed
    _require_some(len(text), counts)
    normalized.report(memory)
    checked.report(memory)
    if start is not None and start.codec is not None:
        codec = replace(start.codec, actions=None)
        titled = {valid_title(name): valid for name, valid in valid_sets.items()}
        start.check_labels({"train": text.examples(), **titled})
    else:
        with show_progress("learning the vocabulary"):
            codec = learn_codec(config, text)
    examples = track(text.examples(), "encoding the corpus", len(text))
    chunks = encode_examples(add_capitals(examples, config, counts), codec, threads)
    if data.source:
        chunks = filtering.filter_lengths(chunks, config, counts)
    counts["kept"] = Dataset.write(folder / _TRAIN, chunks)
    _require_some(counts["kept"], counts)
    if config.context.is_transducer:
        codec = write_actions(codec, folder / _TRAIN)
    (codec := _with_statistics(codec, Dataset.open(folder / _TRAIN))).save(folder)
    for position, (name, part) in enumerate(corpus.validation_sets(config, memory).items()):
        if codec.labels is not None:
            filtering.check_known_labels(valid_sets[name], codec, config, name, memory)
        place_valid = partial(corpus.locate_example, part, "source", memory=memory, split="valid")
        known = report_unknown_features(valid_sets[name], codec, place_valid, "valid", start)
        file = _valid_file(name) if position else _VALID
        Dataset.write(folder / file, encode_examples(known, codec, threads))
    name = "training pairs" if data.source else "training text"
    _log.info("%s: %s", name, filtering.summarize(counts))
    filtering.warn_of_leaks(counts, leaked, place)
    for file, title in ((_TRAIN, name), (_VALID, "validation set")):
        report_unknown_tokens(Dataset.open(folder / file), codec, config, title)
    return codec, dict(counts)


def _require_some(remaining: int, counts: Counter[str]) -> None:
    """Raise UserError, with the counts, if no training examples remain after filtering."""
    if not remaining:
        summary = filtering.summarize(counts)
        raise UserError(
            f"no training pairs are left after filtering: {summary}; check the files of data.train "
            "and the limits data.max_tokens and data.max_ratio"
        )


def _with_statistics(codec: Codec, train: Dataset) -> Codec:
    """Return a codec with statistics of the training pairs, if both source and target are text."""
    if not (codec.task.source == "text" and codec.task.has_target_text):
        return codec
    step = 1 + len(train) // _MEASURED
    sources = (row.source for row in islice(train.examples(), 0, None, step))
    return replace(codec, statistics=TextStatistics.measure(train.lengths, sources))


def _without_ids(examples: Iterable[Example]) -> Iterator[EncodedChunk]:
    """Yield the examples in chunks without id columns."""
    for chunk in chunk_examples(examples):
        yield EncodedChunk(chunk, {})
