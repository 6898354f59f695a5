"""Which weights become the model: the best of those that were judged on validation data."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.text.preparation import PreparedData
from seq2seq.training.card import model_card
from seq2seq.training.checkpoint import Progress
from seq2seq.training.display import MetricsLog, ProgressDisplay
from seq2seq.training.distributed import Ranks
from seq2seq.training.run_folder import RunFolder
from seq2seq.training.validation import validate


class ModelSelection:
    """Validation rounds, and the model folder that always holds the best weights so far."""

    def __init__(
        self,
        config: Config,
        run: RunFolder,
        prepared: PreparedData,
        device: torch.device,
        dtype: torch.dtype,
        command: str,
        ranks: Ranks,
    ) -> None:
        self.config, self.run, self.prepared = config, run, prepared
        self.device, self.dtype, self.command, self.ranks = device, dtype, command, ranks

    def validate(
        self, network: Any, progress: Progress, metrics: MetricsLog, display: ProgressDisplay
    ) -> bool:
        """Judge a network, take note of it everywhere; true if it is the best so far."""
        start = time.monotonic()
        model = Model(self.config, self.prepared.codec, network)
        found = validate(model, self.prepared.valid, self.device, self.dtype, self.ranks)
        (spent,) = self.ranks.all_reduce((time.monotonic() - start) / self.ranks.world_size)
        progress.seconds += spent
        progress.window_start += spent  # tokens a second are those of training alone
        if not math.isfinite(found.loss):
            raise UserError(
                f"the validation loss after update {progress.update} is not finite; nothing of it "
                "was saved: go on from the last checkpoint (--resume) with a smaller "
                "training.learning_rate"
            )
        metric = self.config.validation.metric
        score = found.score(metric)
        best = progress.best is None or score > progress.best
        progress.validated = progress.update
        progress.waited = 0 if best else progress.waited + 1
        row = {
            "kind": "valid",
            "update": progress.update,
            "epoch": progress.epoch,
            "loss": found.loss,
            "perplexity": math.exp(min(found.loss, 700)),
            "bleu": found.bleu,
            "accuracy": found.accuracy,
            "best": best,
            "minutes": progress.seconds / 60,
        }
        metrics.append(row)
        display.show_validation(row, metric)
        if best:
            progress.best = score
            if self.ranks.is_first:
                model_folder.save_model(self.run.model, model, model_card(model, row, self.command))
        return best
