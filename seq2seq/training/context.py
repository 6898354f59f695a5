"""What the parts of one training run share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from seq2seq.config.schema import Config
from seq2seq.text.preparation import PreparedData
from seq2seq.training.callbacks import Callback
from seq2seq.training.distributed import Ranks
from seq2seq.training.run_folder import RunFolder


@dataclass(frozen=True)
class TrainingContext:
    """One run: its configuration, folder and data, and the machine that it trains on.

    device: this rank's; dtype: of matrix products, float32 or bfloat16; command: named by the model
    card as what made the model; callbacks: what hears of each row of the log.
    """

    config: Config
    run: RunFolder
    prepared: PreparedData
    device: torch.device
    dtype: torch.dtype
    ranks: Ranks
    command: str = ""
    callbacks: Sequence[Callback] = ()
