"""Subword regularisation: the training set with subwords drawn anew for each epoch (Kudo 2018)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from seq2seq.text.dataset import Dataset, EncodedChunk, chunk_examples
from seq2seq.text.preparation import PreparedData
from seq2seq.text.tokenizer import seed_subword_sampling


def resample_subwords(prepared: PreparedData, strength: float, seed: int, epoch: int) -> Dataset:
    """Draw the subwords of the training set anew for one epoch.

    Draws in a fresh thread seeded by (seed, epoch): SentencePiece seeds its generator once per
    thread, so a resumed run draws the same ones. Reuses an epoch that was drawn already, by
    another process or before a stop.
    """
    path = prepared.folder / f"sampled-{strength}-{seed}-{epoch}.arrow"
    if path.exists():
        return Dataset.open(path)

    def draw() -> Iterator[EncodedChunk]:
        for chunk in chunk_examples(prepared.train.examples()):
            yield EncodedChunk(chunk, prepared.codec.sample(chunk, strength))

    _run_in_fresh_thread(lambda: Dataset.write(path, draw()), seed * 1_000_003 + epoch)
    for old_epoch in prepared.folder.glob("sampled-*.arrow"):
        if old_epoch != path:
            old_epoch.unlink()
    return Dataset.open(path)


def _run_in_fresh_thread(work: Callable[[], object], seed: int) -> None:
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised again in the thread that waits
            failure.append(error)

    seed_subword_sampling(seed % ((1 << 32) - 1))
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
