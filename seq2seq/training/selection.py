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
from seq2seq.training.judging import judge
from seq2seq.training.state import Counters
from seq2seq.training.validation import TextScorer, validate


class ModelSelection:
    """A validator of the weights, which saves the best weights so far as the model."""

    def __init__(self, context: TrainingContext) -> None:
        """Prepare the validation sets. Raise UserError if the BLEU tokenizer is not installed."""
        self.context = context
        prepared = context.prepared
        self.scorer = TextScorer(context.config, prepared.valid)
        self._others = {
            name: (dataset, TextScorer(context.config, dataset))
            for name, dataset in prepared.other_valid.items()
        }
        if context.ranks.is_first:
            self.scorer.describe()

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
        result = validate(model, context.prepared.valid, self.scorer, context)
        others = {
            name: validate(model, dataset, scorer, context).scores
            for name, (dataset, scorer) in self._others.items()
        }
        (spent,) = ranks.all_reduce((time.monotonic() - start) / ranks.world_size)
        counters.seconds += spent
        counters.window_start += spent  # tokens_per_second excludes validation time
        if not all(math.isfinite(one["loss"]) for one in (result.scores, *others.values())):
            raise UserError(
                f"update {counters.update}: the validation loss is NaN or infinite. This update "
                "was not saved. Resume from the last checkpoint (--resume) with a smaller "
                "training.learning_rate."
            )
        metric = config.validation.metric
        verdict = judge(counters, result.scores, metric, judged=result.judged)
        counters.validated = counters.update
        row: ValidationRow = {
            "kind": "valid",
            "update": counters.update,
            "epoch": counters.epoch,
            **result.scores,
            "best": verdict.best,
            "minutes": counters.seconds / 60,
            "others": others,
        }
        metrics.append(row)
        display.show_validation(row, verdict.by)
        if verdict.best and ranks.is_first:
            origin = None if context.start is None else context.start.origin
            card = model_card(model, row, context.command, self.scorer.signature, origin)
            model_folder.save_model(context.run.model, model, card)
        return row
