"""Which weights become the model: judged on validation data, the best kept, the last averaged."""

from __future__ import annotations

import copy
import logging
import math
import time
from dataclasses import asdict
from typing import Any

import torch
from torch import nn

from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.text.preparation import Prepared
from seq2seq.training.card import model_card
from seq2seq.training.checkpoint import Checkpoints, Progress
from seq2seq.training.distributed import Ranks
from seq2seq.training.learner import on_cpu
from seq2seq.training.progress import Display, MetricsLog, quality
from seq2seq.training.run import Run
from seq2seq.training.validation import Validation, validate

log = logging.getLogger(__name__)


class Selection:
    """Validation rounds, and the model folder that always holds the best weights so far."""

    def __init__(
        self,
        config: Config,
        run: Run,
        prepared: Prepared,
        checkpoints: Checkpoints,
        device: torch.device,
        dtype: torch.dtype,
        command: str,
        ranks: Ranks,
    ) -> None:
        self.config, self.run, self.prepared, self.checkpoints = config, run, prepared, checkpoints
        self.device, self.dtype, self.command, self.ranks = device, dtype, command, ranks

    def round(
        self, network: Any, progress: Progress, metrics: MetricsLog, display: Display
    ) -> bool:
        """Judge a network, take note of it everywhere; true if it is the best so far."""
        start = time.monotonic()
        model, found = self._validated(network)
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
        most = self.config.training.average_checkpoints
        if most > 1:
            progress.keep(score, most)
            if self.ranks.first:
                self.checkpoints.keep(progress, network)
        if best:
            progress.best, progress.best_update = score, progress.update
            self._write(model, row)
        return best

    def average(self, network: nn.Module, progress: Progress) -> None:
        """Average the best validated weights; the model, if that is better than the best alone.

        The average of checkpoints is that of Vaswani et al. 2017.
        """
        if self.config.training.average_checkpoints < 2 or len(progress.kept) < 2:
            return
        network = copy.deepcopy(network)
        if self.ranks.first:
            self.checkpoints.average(progress, network)
        network.load_state_dict(self.ranks.of_first(on_cpu(network.state_dict())))
        model, found = self._validated(network)
        score = found.score(self.config.validation.metric)
        assert progress.best is not None
        better = score > progress.best
        updates = sorted(update for _, update in progress.kept)
        log.info(
            "average of the weights at updates %s: loss %.3f%s (%s)",
            ", ".join(map(str, updates)),
            found.loss,
            quality(asdict(found)),
            "better: it becomes the model" if better else "the best alone stays",
        )
        if better:
            self._write(model, {**asdict(found), "averaged": updates})

    def _validated(self, network: Any) -> tuple[Model, Validation]:
        model = Model(self.config, self.prepared.tokenizers, network)
        return model, validate(model, self.prepared.valid, self.device, self.dtype, self.ranks)

    def _write(self, model: Model, row: dict[str, Any]) -> None:
        if self.ranks.first:
            model_folder.save(self.run.model, model, model_card(model, row, self.command))
