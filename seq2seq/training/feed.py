"""What an epoch is fed from: batches of pairs, or windows of a text, planned from a seed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import numpy as np

from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.text import batching, preparation, streams
from seq2seq.text.batching import Batch
from seq2seq.text.dataset import Dataset
from seq2seq.text.preparation import Prepared
from seq2seq.text.tokenizers import Tokenizers
from seq2seq.training.distributed import Ranks


class Feed(ABC):
    """`plan`: the batches of the epoch, each as an array with a row of what is in it a row."""

    plan: list[np.ndarray]

    @abstractmethod
    def tokens(self, rows: np.ndarray) -> int:
        """The target tokens of a batch of the plan."""

    @abstractmethod
    def collate(self, rows: np.ndarray) -> Batch:
        """The batch of some of its rows, at least one."""

    def share(self, rows: np.ndarray, ranks: Ranks) -> Batch:
        """This rank's share of a batch; where the rows do not suffice for all ranks, one that
        counts for nothing."""
        share = ranks.share_of(rows)
        batch = self.collate(share if len(share) else rows[:1])
        return batch if len(share) else replace(batch, real=batch.real[:0])


class Pairs(Feed):
    """Pairs of like lengths, as many as the budget of tokens allows."""

    def __init__(
        self, config: Config, dataset: Dataset, tokenizers: Tokenizers, epoch: int
    ) -> None:
        self.dataset, self.tokenizers = dataset, tokenizers
        budget = config.training.batch_tokens
        self.plan = batching.plan(dataset.lengths, budget=budget, seed=config.seed, epoch=epoch)

    def tokens(self, rows: np.ndarray) -> int:
        ends = 0 if self.tokenizers.labelled_target else len(rows)
        return int(self.dataset.lengths[rows, 1].sum()) + ends

    def collate(self, rows: np.ndarray) -> Batch:
        return batching.collate(self.dataset, rows, self.tokenizers)


class Windows(Feed):
    """Windows of one long text."""

    def __init__(self, config: Config, ids: np.ndarray, tokenizers: Tokenizers, epoch: int) -> None:
        settings = config.training
        self.ids, self.window, self.tokenizer = ids, settings.window, tokenizers.target
        self.plan = streams.plan(
            len(ids),
            streams=settings.batch_tokens // settings.window,
            window=settings.window,
            seed=config.seed,
            epoch=epoch,
            contiguous=settings.windows == "contiguous",
        )

    def tokens(self, rows: np.ndarray) -> int:
        return int(rows[:, 1].sum())

    def collate(self, rows: np.ndarray) -> Batch:
        return streams.collate(self.ids, rows, self.window, self.tokenizer)


class Feeds:
    """The feed of each epoch of a run."""

    def __init__(self, config: Config, prepared: Prepared, ranks: Ranks) -> None:
        """Raises UserError for a text that is too short."""
        self.config, self.prepared, self.ranks = config, prepared, ranks
        if config.shape == "language-model":
            self.ids = streams.stream(
                prepared.train.columns(1),
                prepared.tokenizers.target,
                line_ends=config.data.line_ends,
            )
            window = config.training.window
            streams_wanted = config.training.batch_tokens // window
            if streams_wanted < ranks.count:
                raise UserError(
                    f"{streams_wanted} windows a batch (training.batch_tokens / training.window) "
                    f"cannot be shared out over {ranks.count} ranks: start fewer of them"
                )
            if len(self.ids) < window:
                raise UserError(
                    f"the training text has {len(self.ids):,} tokens, fewer than one window of "
                    f"{window}: set a smaller training.window"
                )

    @property
    def name(self) -> str:
        """Of the plan: a position in one counts for nothing in another."""
        settings = self.config.training
        text = self.config.shape == "language-model"
        windows = f" in {settings.windows} windows of {settings.window}" if text else ""
        return f"{settings.batch_tokens} tokens{windows}"

    def __call__(self, epoch: int) -> Feed:
        """Made from (seed, epoch) alone."""
        config, prepared = self.config, self.prepared
        if config.shape == "language-model":
            return Windows(config, self.ids, prepared.tokenizers, epoch)
        dataset, strength = prepared.train, config.tokenizer.sampling
        if strength:
            with self.ranks.one_after_the_other():
                dataset = preparation.sampled(prepared, strength, config.seed, epoch)
        return Pairs(config, dataset, prepared.tokenizers, epoch)
