"""Plan and build the batches of an epoch, from examples or from windows of a text.

The plan depends only on the data, the settings, the seed and the number of the epoch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text import batching, bptt, resampling
from seq2seq.text.batching import Batch
from seq2seq.text.codec import Codec
from seq2seq.text.dataset import Dataset
from seq2seq.text.preparation import PreparedData
from seq2seq.training.distributed import Ranks


class EpochBatches(ABC):
    """The batches of one epoch.

    plan: one array for each batch, with one entry for each row of the batch. An entry is the number
        of an example, or the position and length of a window of a text.
    """

    plan: list[np.ndarray]

    @abstractmethod
    def target_tokens(self, rows: np.ndarray) -> int:
        """Return the number of target tokens in a batch.

        rows: the rows of the batch, as in `EpochBatches.plan`.
        """

    @abstractmethod
    def collate(self, rows: np.ndarray) -> Batch:
        """Build a batch.

        rows: the rows of the batch, as in `EpochBatches.plan`.
        """

    def local_batch(self, rows: np.ndarray, ranks: Ranks) -> Batch:
        """Return this rank's share of a batch.

        If the batch has fewer rows than there are ranks, some ranks get a batch without target
        tokens.

        rows: the rows of the whole batch, as in `EpochBatches.plan`.
        """
        share = ranks.shard(rows)
        batch = self.collate(share if len(share) else rows[:1])
        return batch if len(share) else replace(batch, target_index=batch.target_index[:0])


class ExampleBatches(EpochBatches):
    """Batches of examples of similar lengths, filled up to `training.batch_tokens` tokens."""

    def __init__(self, config: Config, dataset: Dataset, codec: Codec, epoch: int) -> None:
        self.dataset, self.codec = dataset, codec
        budget = config.training.batch_tokens
        self.plan = batching.plan_batches(
            dataset.lengths, budget=budget, seed=config.seed, epoch=epoch
        )

    def target_tokens(self, rows: np.ndarray) -> int:
        ends = len(rows) if self.codec.task.has_target_text else 0
        return int(self.dataset.lengths[rows, 1].sum()) + ends

    def collate(self, rows: np.ndarray) -> Batch:
        return batching.collate_examples(self.dataset, rows, self.codec)


class WindowBatches(EpochBatches):
    """Batches of windows of one long text, for language models."""

    def __init__(self, config: Config, ids: np.ndarray, codec: Codec, epoch: int) -> None:
        settings = config.training
        self.ids, self.window, self.tokenizer = ids, settings.window, codec.target
        self.plan = bptt.plan_windows(
            len(ids),
            streams=settings.batch_tokens // settings.window,
            window=settings.window,
            seed=config.seed,
            epoch=epoch,
            contiguous=settings.windows == "contiguous",
        )

    def target_tokens(self, rows: np.ndarray) -> int:
        return int(rows[:, 1].sum())

    def collate(self, rows: np.ndarray) -> Batch:
        return bptt.collate_windows(self.ids, rows, self.window, self.tokenizer)


class BatchPlanner:
    """A planner that builds the batches of each epoch of a run."""

    def __init__(self, config: Config, prepared: PreparedData, ranks: Ranks) -> None:
        """Check that the data is large enough to plan batches.

        Raise UserError if the text of a language model is shorter than one window, or if a batch
        has fewer windows than there are ranks.
        """
        self.config, self.prepared, self.ranks = config, prepared, ranks
        if not config.task.has_source:
            self.ids = bptt.concatenate_lines(
                prepared.train.columns("target"),
                prepared.codec.target,
                line_ends=config.data.line_ends,
            )
            window = config.training.window
            streams = config.training.batch_tokens // window
            if streams < ranks.world_size:
                raise UserError(
                    f"a batch of {streams} windows (training.batch_tokens / training.window) "
                    f"cannot be split over {ranks.world_size} ranks (processes); start fewer "
                    "ranks, or set a larger training.batch_tokens"
                )
            if len(self.ids) < window:
                raise UserError(
                    f"the training text has {len(self.ids):,} tokens, fewer than one window of "
                    f"{window} tokens; set a smaller training.window"
                )

    @property
    def plan_name(self) -> str:
        """A description of how batches are planned.

        A saved position in an epoch is valid only as long as this name stays the same.
        """
        settings = self.config.training
        text = not self.config.task.has_source
        windows = f" in {settings.windows} windows of {settings.window}" if text else ""
        return f"{settings.batch_tokens} tokens{windows}"

    def __call__(self, epoch: int) -> EpochBatches:
        """Return the batches of an epoch. All ranks must call this method together.

        The batches depend only on the data, the settings, the seed and the number of the epoch.
        """
        config, prepared = self.config, self.prepared
        if not config.task.has_source:
            return WindowBatches(config, self.ids, prepared.codec, epoch)
        dataset, strength = prepared.train, config.tokenizer.sampling
        if strength:
            with self.ranks.sequentially():
                dataset = resampling.resample_subwords(prepared, strength, config.seed, epoch)
        return ExampleBatches(config, dataset, prepared.codec, epoch)
