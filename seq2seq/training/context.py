"""The data structure that all parts of a training run share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.config.schema import Config
from seq2seq.text.preparation import PreparedData
from seq2seq.training.callbacks import Callback
from seq2seq.training.distributed import Ranks
from seq2seq.training.run_folder import RunFolder
from seq2seq.training.start import Start


@dataclass(frozen=True)
class TrainingContext:
    """The configuration, folder and data of one run, and the device that it trains on.

    run: the run folder.
    prepared: the data sets and the vocabularies.
    device: the device of this rank.
    dtype: the type in which matrix products are computed, float32 or bfloat16.
    ranks: the processes that train together.
    command: the command line that started the training, for the model card.
    callbacks: the objects that receive each row of the log.
    start: the model that the run starts from; None for random weights.
    """

    config: Config
    run: RunFolder
    prepared: PreparedData
    device: torch.device
    dtype: torch.dtype
    ranks: Ranks
    command: str = ""
    callbacks: Sequence[Callback] = ()
    start: Start | None = None
