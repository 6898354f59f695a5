"""From a configuration to encoded data on disk: read, filter, learn the subwords, encode."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.files import atomic_folder
from seq2seq.text import corpus
from seq2seq.text.codec import Codec, check_label_count
from seq2seq.text.corpus import Pair
from seq2seq.text.dataset import Dataset, EncodedChunk, chunk_pairs, encode_pairs
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.tokenizer import seed_subword_sampling, train_tokenizer

log = logging.getLogger(__name__)

_TRAIN, _VALID = "train.arrow", "valid.arrow"


@dataclass(frozen=True)
class PreparedData:
    """The codec, and the encoded pairs to learn from and to judge by."""

    folder: Path
    codec: Codec
    train: Dataset
    valid: Dataset

    def digest(self) -> str:
        """Of the vocabularies and the lengths of all pairs: equal where two machines have prepared
        the same."""
        hashed = hashlib.blake2b(digest_size=16)
        for content in self.codec.files().values():
            hashed.update(content)
        for dataset in (self.train, self.valid):
            hashed.update(np.ascontiguousarray(dataset.lengths).data)
        return hashed.hexdigest()


def prepare_data(
    config: Config, folder: Path, threads: int = 1, *, in_use: bool = False
) -> PreparedData:
    """Make the codec and the encoded data in `folder`, or take those that are there.

    They are reused only if the settings and the content of the input files are the same.
    in_use: a model has learned from them, so they may not be made anew.
    Raises UserError for every mistake in the corpus, for data in use that no longer fits, and for
    a folder that holds other files.
    """
    digest = _digest(config)
    stamp = folder / "prepared.json"
    if stamp.exists() and _made_of(stamp) == digest:
        codec = Codec.load(folder, config)
    else:
        if in_use:
            raise UserError(
                f"{folder}: the corpus, or how it is prepared, has changed since the run began: "
                "it cannot be resumed; train anew in another folder with --out"
            )
        if stamp.exists():
            log.info("the settings or the corpus changed: preparing %s again", folder)
        elif folder.exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder} holds files that are no prepared data, and they would be lost: name "
                "another folder with --out"
            )
        with atomic_folder(folder) as aside:
            codec, counts = _make(config, aside, threads)
            text = json.dumps({"digest": digest, "counts": counts}, indent=2) + "\n"
            (aside / stamp.name).write_text(text, encoding="utf-8")
    return PreparedData(folder, codec, Dataset.open(folder / _TRAIN), Dataset.open(folder / _VALID))


def _made_of(stamp: Path) -> str | None:
    """The digest of what the data beside the stamp was made of; None where it is not complete."""
    if not all((stamp.parent / name).is_file() for name in (_TRAIN, _VALID)):
        return None
    digest: str = json.loads(stamp.read_text(encoding="utf-8"))["digest"]
    return digest


def _digest(config: Config) -> str:
    """Of all that the prepared data depends on."""
    hashed = hashlib.blake2b(digest_size=16)
    where = {"train", "valid", "test"}  # what is in them is hashed below
    task = config.task
    if task.label_side is not None or task.same_length:
        hashed.update(f"{task.name} {config.encoder.kind} {config.encoder.vector_size}".encode())
    hashed.update(config.data.model_dump_json(exclude=where).encode())
    hashed.update(config.tokenizer.model_copy(update={"sampling": 0.0}).model_dump_json().encode())
    for split in ("train", "valid", "test"):
        if corpus.has_split(config.data, split):
            hashed.update(split.encode())
            for path in corpus.input_files(config.data, split):
                with path.open("rb") as file:
                    hashed.update(hashlib.file_digest(file, "blake2b").digest())
    return hashed.hexdigest()


def _make(config: Config, folder: Path, threads: int) -> tuple[Codec, dict[str, int]]:
    data = config.data
    counts: Counter[str] = Counter()
    valid = list(corpus.read_pairs(data, "valid"))
    held_out: dict[str, set[bytes]] = {}
    raw = corpus.read_pairs(data, "train")
    if data.source:  # of a text, every line is wanted, whatever it is
        held_out = _held_out(config, valid)
        raw = _well_labelled(raw, config)
        raw = corpus.filter_pairs(raw, drop_duplicates=data.drop_duplicates, counts=counts)
    # The text goes to disk first: subwords are learned from it, and then it is encoded.
    text_file = folder / "text.arrow"
    Dataset.write(text_file, _without_ids(_leaks_counted(raw, held_out, counts)))
    text = Dataset.open(text_file)
    text_file.unlink()  # what is mapped can still be read, and nothing is left behind
    if not len(text):
        raise UserError(f"no training pairs are left after filtering: {_said(counts)}")
    codec = _learn(config, text)
    codec.save(folder)
    content = encode_pairs(text.pairs(), codec, threads)
    if data.source:
        content = _fitting(content, config, counts)
    kept = Dataset.write(folder / _TRAIN, content)
    counts["kept"] = kept
    if not kept:
        raise UserError(f"no training pairs are left after filtering: {_said(counts)}")
    if codec.labels is not None:
        _require_known(config, valid, codec)
    Dataset.write(folder / _VALID, encode_pairs(valid, codec, threads))
    log.info("training pairs: %s" if data.source else "training text: %s", _said(counts))
    for name in held_out:
        if counts[f"also in {name}"]:
            log.warning(
                "%d training pairs are also in the %s set: its scores flatter the model",
                counts[f"also in {name}"],
                name,
            )
    return codec, dict(counts)


def _each(pairs: Iterable[Pair], split: str, check: Callable[[Pair], object]) -> Iterator[Pair]:
    """The pairs as they are. Raises UserError, naming the row, for what `check` refuses."""
    for number, pair in enumerate(pairs, start=1):
        try:
            check(pair)
        except UserError as error:
            raise UserError(f"data.{split}, row {number}: {error}") from None
        yield pair


def _well_labelled(train: Iterable[Pair], config: Config) -> Iterator[Pair]:
    """The pairs, each with the labels or the vector that it needs; what is blank is dropped
    later."""
    vector = VectorFormat(config.encoder.vector_size) if config.encoder.kind == "vector" else None

    def check(pair: Pair) -> None:
        if not (pair[0].strip() and pair[1].strip()):
            return
        if vector is None:
            check_label_count(config.task, *pair)
        else:
            vector.encode([pair[0]])

    return _each(train, "train", check)


def _require_known(config: Config, valid: list[Pair], codec: Codec) -> None:
    """Raises UserError, naming the row, for labels that training does not have, or too few."""
    labels = codec.require_labels()

    def check(pair: Pair) -> None:
        if isinstance(labels, LabelSet):
            check_label_count(config.task, *pair)
        labels.encode([pair[codec.task.label_side or 0]])

    for _ in _each(valid, "valid", check):
        pass


def _held_out(config: Config, valid: list[Pair]) -> dict[str, set[bytes]]:
    """The pairs that training should not see, by the name of their set."""
    held_out = {"valid": {corpus.pair_digest(pair) for pair in valid}}
    if corpus.has_split(config.data, "test"):
        test = corpus.read_pairs(config.data, "test")
        try:
            held_out["test"] = {corpus.pair_digest(pair) for pair in test}
        except UserError as error:
            if config.data.test is not None:
                raise
            # By default a hub dataset is asked for one, which it need not have.
            log.warning("without a test set: %s", error)
    return held_out


def _leaks_counted(
    pairs: Iterable[Pair], held_out: dict[str, set[bytes]], counts: Counter[str]
) -> Iterator[Pair]:
    for pair in pairs:
        digest = corpus.pair_digest(pair)
        for name, digests in held_out.items():
            counts[f"also in {name}"] += digest in digests
        yield pair


def _without_ids(pairs: Iterable[Pair]) -> Iterator[EncodedChunk]:
    for sources, targets in chunk_pairs(pairs):
        empty: list[list[int]] = [[] for _ in sources]
        yield sources, targets, empty, empty


def _learn(config: Config, text: Dataset) -> Codec:
    """One tokenizer from all sides that are text, or one each, from an even sample of the pairs;
    and the labels of the other side, from all of them."""
    step = -(-len(text) // config.tokenizer.sample_lines)

    def sides(*wanted: int) -> Iterator[str]:
        for number, pair in enumerate(text.pairs()):
            if number % step == 0:
                for side in wanted:
                    yield pair[side]

    labelled = config.task.label_side
    texts = [side for side in (0, 1) if side != labelled]
    if not config.data.source:
        texts = [1]
    if config.tokenizer.joint:
        joint = train_tokenizer(sides(*texts), config.tokenizer, "the training text")
        labels: LabelSet | VectorFormat | None = None
        if labelled is not None:
            vector = config.encoder.kind == "vector"
            names = (name for pair in text.pairs() for name in pair[labelled].split(" "))
            labels = VectorFormat(config.encoder.vector_size) if vector else LabelSet(names)
        return Codec(joint, joint, config.task, labels)
    return Codec(
        train_tokenizer(sides(0), config.tokenizer, f"the training text in {config.data.source}"),
        train_tokenizer(sides(1), config.tokenizer, f"the training text in {config.data.target}"),
    )


def _fitting(
    content: Iterable[EncodedChunk], config: Config, counts: Counter[str]
) -> Iterator[EncodedChunk]:
    """The pairs that are neither too long nor too unequal; the others are counted."""
    data = config.data
    for chunk in content:
        rows = []
        for row in zip(*chunk, strict=True):
            sizes = len(row[2]), len(row[3])
            reason = corpus.length_problem(
                *sizes, max_tokens=data.max_tokens, max_ratio=data.max_ratio
            )
            if reason is None and config.task.same_length and sizes[0] != sizes[1]:
                reason = "of two lengths"
            if reason is None:
                rows.append(row)
            else:
                counts[reason] += 1
        if rows:
            sources, targets, source_ids, target_ids = map(list, zip(*rows, strict=True))
            yield sources, targets, source_ids, target_ids


def _said(counts: Counter[str]) -> str:
    dropped = ("empty", "duplicate", "too long", "length ratio", "of two lengths")
    said = ", ".join(f"{counts[name]:,} {name}" for name in dropped if counts[name])
    if not counts["read"]:
        return f"{counts['kept']:,} lines"
    kept = f"{counts['read']:,} read, {counts['kept']:,} kept"
    return kept + (f"; dropped: {said}" if said else "; none dropped")


def resample_subwords(prepared: PreparedData, strength: float, seed: int, epoch: int) -> Dataset:
    """The training pairs with subwords drawn anew for one epoch (Kudo 2018).

    Drawn in a fresh thread seeded by (seed, epoch): SentencePiece seeds its generator once a
    thread, so this is what makes a resumed run draw the same ones. An epoch that was drawn already,
    by another process or before a stop, is taken as it is.
    """
    path = prepared.folder / f"sampled-{strength}-{seed}-{epoch}.arrow"
    if path.exists():
        return Dataset.open(path)

    def draw() -> Iterator[EncodedChunk]:
        for sources, targets in chunk_pairs(prepared.train.pairs()):
            yield sources, targets, *prepared.codec.sample(sources, targets, strength)

    _in_fresh_thread(lambda: Dataset.write(path, draw()), seed * 1_000_003 + epoch)
    for other in prepared.folder.glob("sampled-*.arrow"):
        if other != path:
            other.unlink()
    return Dataset.open(path)


def _in_fresh_thread(work: Callable[[], object], seed: int) -> None:
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # handed on to the thread that waits
            failure.append(error)

    seed_subword_sampling(seed % ((1 << 32) - 1))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
