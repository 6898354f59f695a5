"""Which weights become the model: the best of those that were judged on validation data."""

from __future__ import annotations

import math
import time
from typing import Any

import torch

from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.text.preparation import Prepared
from seq2seq.training.card import model_card
from seq2seq.training.checkpoint import Progress
from seq2seq.training.distributed import Ranks
from seq2seq.training.progress import Display, MetricsLog
from seq2seq.training.run import Run
from seq2seq.training.validation import validate


class Selection:
    """Validation rounds, and the model folder that always holds the best weights so far."""

    def __init__(
        self,
        config: Config,
        run: Run,
        prepared: Prepared,
        device: torch.device,
        dtype: torch.dtype,
        command: str,
        ranks: Ranks,
    ) -> None:
        self.config, self.run, self.prepared = config, run, prepared
        self.device, self.dtype, self.command, self.ranks = device, dtype, command, ranks

    def round(
        self, network: Any, progress: Progress, metrics: MetricsLog, display: Display
    ) -> bool:
        """Judge a network, take note of it everywhere; true if it is the best so far."""
        start = time.monotonic()
        model = Model(self.config, self.prepared.tokenizers, network)
        found = validate(model, self.prepared.valid, self.device, self.dtype, self.ranks)
        (spent,) = self.ranks.total((time.monotonic() - start) / self.ranks.count)
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
        display.validated(row, metric)
        if best:
            progress.best = score
            if self.ranks.first:
                model_folder.save(self.run.model, model, model_card(model, row, self.command))
        return best
