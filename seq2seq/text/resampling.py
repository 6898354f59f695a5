"""Subword regularisation: sample new subwords for the training set in each epoch (Kudo 2018)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import sentencepiece

from seq2seq.text.dataset import Dataset, EncodedChunk, chunk_examples
from seq2seq.text.preparation import PreparedData


def resample_subwords(prepared: PreparedData, strength: float, seed: int, epoch: int) -> Dataset:
    """Return the training set of one epoch, with newly sampled subwords.

    The sampling depends only on the seed and the epoch, so a resumed run samples the same subwords.
    A new thread does the sampling, because SentencePiece seeds its generator once per thread. The
    samples are stored in a file beside the prepared data. If the file of this epoch already exists,
    for example because another process wrote it, the file is reused.

    Args:
        prepared: The prepared data.
        strength: The sampling parameter (see `Tokenizer.sample`).
        seed: The seed of the run.
        epoch: The number of the epoch.
    """
    path = prepared.folder / f"sampled-{strength}-{seed}-{epoch}.arrow"
    if path.exists():
        return Dataset.open(path)

    def draw() -> Iterator[EncodedChunk]:
        for chunk in chunk_examples(prepared.train.examples()):
            yield EncodedChunk(chunk, prepared.codec.sample(chunk, strength))

    _run_in_fresh_thread(lambda: Dataset.write(path, draw()), seed * 1_000_003 + epoch)
    delete_samples(prepared.folder, keep=path)
    return Dataset.open(path)


def delete_samples(folder: Path, keep: Path | None = None) -> None:
    """Delete the sampled training sets beside the prepared data, except for `keep`."""
    for path in folder.glob("sampled-*.arrow"):
        if path != keep:
            path.unlink()


def seed_subword_sampling(seed: int) -> None:
    """Set the seed of SentencePiece's random generator, from 0 to 2^32 - 2.

    A thread reads the seed only when it samples for the first time. For reproducible samples, set
    the seed and then sample in a new thread. The value 2^32 - 1 means a random seed.
    """
    sentencepiece.set_random_generator_seed(seed)


def _run_in_fresh_thread(work: Callable[[], object], seed: int) -> None:
    """Run `work` in a new thread in which SentencePiece's random generator has this seed.

    Raises the exception that `work` raises.
    """
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised again below, in the calling thread
            failure.append(error)

    seed_subword_sampling(seed % ((1 << 32) - 1))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
