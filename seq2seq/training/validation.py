"""Judging a model while it is trained: through the product's own translator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch

from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.options import BeamOptions, GreedyOptions
from seq2seq.decoding.results import log_notes
from seq2seq.decoding.translator import Translator
from seq2seq.evaluation.perplexity import (
    evaluation_batches,
    perplexity_of_batches,
    perplexity_of_ids,
)
from seq2seq.evaluation.scores import corpus_bleu
from seq2seq.models.folder import Model
from seq2seq.text import bptt
from seq2seq.text.dataset import Dataset
from seq2seq.text.languages import bleu_tokenizer
from seq2seq.training.distributed import Ranks


@dataclass(frozen=True)
class ValidationResult:
    """loss: nats a target token, no smoothing; bleu: 0 to 100; accuracy: 0 to 1, of labels; None
    where they were not asked for."""

    loss: float
    bleu: float | None = None
    accuracy: float | None = None

    def score(self, metric: str) -> float:
        """Higher is better."""
        found = {"bleu": self.bleu, "accuracy": self.accuracy, "loss": -self.loss}[metric]
        assert found is not None
        return found


def validate(
    model: Model, pairs: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> ValidationResult:
    """The loss over all pairs, and the BLEU of their translations against the raw targets; the work
    is shared out over the ranks, and the result is the same on all."""
    settings = model.config.validation
    model.network.eval()
    if not model.config.task.has_source:  # a text is one: it cannot be shared out
        ids = bptt.concatenate_lines(
            pairs.columns(1), model.codec.target, line_ends=model.config.data.line_ends
        )
        # Each rank's own differs in a bit where the machines do; all must go the same way.
        return ValidationResult(ranks.broadcast(perplexity_of_ids(model, ids, device, dtype).loss))
    loss = _loss(model, pairs, device, dtype, ranks)
    if settings.metric == "loss":
        return ValidationResult(loss)
    if settings.metric == "accuracy":
        return ValidationResult(loss, accuracy=_accuracy(model, pairs, device, dtype, ranks))
    translator = Translator.from_models([model], device=device, dtype=dtype)
    sources, references = zip(*islice(pairs.pairs(), settings.lines or None), strict=True)
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
    model: Model, pairs: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> float:
    labeller = Labeller(model, device=device, dtype=dtype)
    share = ranks.shard(list(pairs.pairs()))
    right = total = 0
    for found, pair in zip(labeller.stream(source for source, _ in share), share, strict=True):
        wanted = pair[1].split(" ")
        # A blank text has no labels, which is wrong.
        right += sum(one == other for one, other in zip(found.labels, wanted, strict=False))
        total += len(wanted)
    right_in_all, in_all = ranks.all_reduce(right, total)
    return right_in_all / in_all


def _loss(
    model: Model, pairs: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> float:
    share = ranks.shard(evaluation_batches(pairs))
    found = perplexity_of_batches(model, pairs, share, device, dtype)
    nll, tokens = ranks.all_reduce(found.nll, found.tokens)
    return nll / tokens
