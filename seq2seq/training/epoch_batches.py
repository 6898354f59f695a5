"""The batches of an epoch: of pairs, or of windows of a text, planned from a seed."""

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
    """The batches of one epoch. `plan`: an array for each batch, with an entry (a pair's number, or
    a window) for each of its rows."""

    plan: list[np.ndarray]

    @abstractmethod
    def target_tokens(self, rows: np.ndarray) -> int:
        """The target tokens of a batch of the plan."""

    @abstractmethod
    def collate(self, rows: np.ndarray) -> Batch:
        """The batch of some rows of a batch of the plan, at least one."""

    def local_batch(self, rows: np.ndarray, ranks: Ranks) -> Batch:
        """This rank's share of a batch; where there are fewer rows than ranks, perhaps a batch
        without target tokens."""
        share = ranks.shard(rows)
        batch = self.collate(share if len(share) else rows[:1])
        return batch if len(share) else replace(batch, target_index=batch.target_index[:0])


class ExampleBatches(EpochBatches):
    """Examples of like lengths, as many as the budget of tokens allows."""

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
    """Windows of one long text."""

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
    """Plans the batches of each epoch of a run."""

    def __init__(self, config: Config, prepared: PreparedData, ranks: Ranks) -> None:
        """Raises UserError for a text that is too short."""
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
                    f"{streams} windows a batch (training.batch_tokens / training.window) "
                    f"cannot be shared out over {ranks.world_size} ranks: start fewer of them"
                )
            if len(self.ids) < window:
                raise UserError(
                    f"the training text has {len(self.ids):,} tokens, fewer than one window of "
                    f"{window}: set a smaller training.window"
                )

    @property
    def plan_name(self) -> str:
        """How batches are planned: a position counts for nothing in a plan of another name."""
        settings = self.config.training
        text = not self.config.task.has_source
        windows = f" in {settings.windows} windows of {settings.window}" if text else ""
        return f"{settings.batch_tokens} tokens{windows}"

    def __call__(self, epoch: int) -> EpochBatches:
        """The batches of an epoch, from (seed, epoch) alone. All ranks must call it together."""
        config, prepared = self.config, self.prepared
        if not config.task.has_source:
            return WindowBatches(config, self.ids, prepared.codec, epoch)
        dataset, strength = prepared.train, config.tokenizer.sampling
        if strength:
            with self.ranks.sequentially():
                dataset = resampling.resample_subwords(prepared, strength, config.seed, epoch)
        return ExampleBatches(config, dataset, prepared.codec, epoch)
