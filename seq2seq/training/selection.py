"""Validate the weights and keep the best weights so far as the model."""

from __future__ import annotations

import math
import time
from typing import Any

from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import Model
from seq2seq.training.callbacks import ValidationRow
from seq2seq.training.card import model_card
from seq2seq.training.context import TrainingContext
from seq2seq.training.display import MetricsLog, ProgressDisplay
from seq2seq.training.state import Counters
from seq2seq.training.validation import validate


class ModelSelection:
    """A validator of the weights, which saves the best weights so far as the model."""

    def __init__(self, context: TrainingContext) -> None:
        self.context = context

    def validate(
        self, network: Any, counters: Counters, metrics: MetricsLog, display: ProgressDisplay
    ) -> ValidationRow:
        """Validate a network, log the result, and save the network if it is the best so far.

        Return the validation row of the log. Raise UserError if the loss is NaN or infinite.
        """
        context = self.context
        config, ranks = context.config, context.ranks
        start = time.monotonic()
        model = Model(config, context.prepared.codec, network)
        result = validate(model, context.prepared.valid, context.device, context.dtype, ranks)
        (spent,) = ranks.all_reduce((time.monotonic() - start) / ranks.world_size)
        counters.seconds += spent
        counters.window_start += spent  # tokens_per_second excludes validation time
        if not math.isfinite(result.loss):
            raise UserError(
                f"update {counters.update}: the validation loss is NaN or infinite. This update "
                "was not saved. Resume from the last checkpoint (--resume) with a smaller "
                "training.learning_rate."
            )
        metric = config.validation.metric
        score = result.score(metric)
        best = counters.best is None or score > counters.best
        counters.validated = counters.update
        counters.waited = 0 if best else counters.waited + 1
        row: ValidationRow = {
            "kind": "valid",
            "update": counters.update,
            "epoch": counters.epoch,
            "loss": result.loss,
            "perplexity": math.exp(min(result.loss, 700)),
            "bleu": result.bleu,
            "accuracy": result.accuracy,
            "best": best,
            "minutes": counters.seconds / 60,
        }
        metrics.append(row)
        display.show_validation(row, metric)
        if best:
            counters.best = score
            if ranks.is_first:
                card = model_card(model, row, context.command)
                model_folder.save_model(context.run.model, model, card)
        return row
