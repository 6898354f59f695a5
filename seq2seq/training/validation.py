"""Validate a model during training, with the same `Translator` and `Labeller` that users run."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch

from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.options import BeamOptions, GreedyOptions
from seq2seq.decoding.results import log_notes
from seq2seq.decoding.translator import Translator
from seq2seq.evaluation.scores import corpus_bleu
from seq2seq.models.folder import Model
from seq2seq.models.perplexity import (
    evaluation_batches,
    perplexity_of_batches,
    perplexity_of_ids,
)
from seq2seq.text import bptt
from seq2seq.text.dataset import Dataset
from seq2seq.text.languages import bleu_tokenizer
from seq2seq.training.distributed import Ranks


@dataclass(frozen=True)
class ValidationResult:
    """The scores of one validation.

    loss: cross-entropy without label smoothing, in nats per target token.
    bleu: BLEU from 0 to 100; None unless `validation.metric` is BLEU.
    accuracy: fraction of correct labels, 0 to 1; None unless `validation.metric` is accuracy.
    """

    loss: float
    bleu: float | None = None
    accuracy: float | None = None

    def score(self, metric: str) -> float:
        """Return the score for a metric ("bleu", "accuracy" or "loss"). Higher is better.

        The score for "loss" is the negative loss.
        """
        score = {"bleu": self.bleu, "accuracy": self.accuracy, "loss": -self.loss}[metric]
        assert score is not None
        return score


def validate(
    model: Model, dataset: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> ValidationResult:
    """Compute the loss over all examples and, if `validation.metric` needs it, BLEU or accuracy.

    For BLEU, the translations are compared with the raw target texts. The ranks share the work, and
    every rank gets the same result.
    """
    settings = model.config.validation
    model.network.eval()
    if not model.config.task.has_source:  # one long text cannot be split over the ranks
        ids = bptt.concatenate_lines(
            dataset.columns("target"), model.codec.target, line_ends=model.config.data.line_ends
        )
        # Values may differ slightly between machines, but all ranks need the same value.
        return ValidationResult(ranks.broadcast(perplexity_of_ids(model, ids, device, dtype).loss))
    loss = _loss(model, dataset, device, dtype, ranks)
    if settings.metric == "loss":
        return ValidationResult(loss)
    if settings.metric == "accuracy":
        return ValidationResult(loss, accuracy=_accuracy(model, dataset, device, dtype, ranks))
    translator = Translator.from_models([model], device=device, dtype=dtype)
    examples = list(islice(dataset.examples(), settings.lines or None))
    sources = [example.source for example in examples]
    references = [example.target for example in examples]
    search = GreedyOptions() if settings.beam == 1 else BeamOptions(beam=settings.beam)
    texts = []
    for result in translator.stream(ranks.shard(sources), search):
        log_notes(result.notes)
        texts.append(result.best.text)
    lines = ranks.gather_shards(texts)
    tokens = bleu_tokenizer(model.config.data.target)
    return ValidationResult(
        loss, corpus_bleu(lines, references, lowercase=translator.lowercase, tokens=tokens)
    )


def _accuracy(
    model: Model, dataset: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> float:
    labeller = Labeller.from_model(model, device=device, dtype=dtype)
    share = ranks.shard(list(dataset.examples()))
    hits = total = 0
    labellings = labeller.label(example.source for example in share)
    for labelling, example in zip(labellings, share, strict=True):
        labels = example.target.split(" ")
        # A blank text gets no predictions, so all its labels count as wrong.
        predictions = zip(labelling.labels, labels, strict=False)
        hits += sum(predicted == label for predicted, label in predictions)
        total += len(labels)
    all_hits, all_labels = ranks.all_reduce(hits, total)
    return all_hits / all_labels


def _loss(
    model: Model, dataset: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> float:
    share = ranks.shard(evaluation_batches(dataset))
    perplexity = perplexity_of_batches(model, dataset, share, device, dtype)
    nll, tokens = ranks.all_reduce(perplexity.nll, perplexity.tokens)
    return nll / tokens
