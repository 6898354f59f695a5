"""Judging a model while it is trained: through the product's own translator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from seq2seq import runtime
from seq2seq.decoding.translator import Search, Translator
from seq2seq.evaluation.perplexity import perplexity
from seq2seq.evaluation.scores import bleu
from seq2seq.models.folder import Model
from seq2seq.text import batching, streams
from seq2seq.text.dataset import Dataset
from seq2seq.training.distributed import Ranks
from seq2seq.training.objective import cross_entropy

_BUDGET = 4096  # tokens a batch


@dataclass(frozen=True)
class Validation:
    """loss: nats a target token, no smoothing; bleu: 0 to 100, None where it was not asked for."""

    loss: float
    bleu: float | None

    def score(self, metric: str) -> float:
        """Higher is better."""
        if metric == "bleu":
            assert self.bleu is not None
            return self.bleu
        return -self.loss


def validate(
    model: Model, pairs: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> Validation:
    """The loss over all pairs, and the BLEU of their translations against the raw targets; the work
    is shared out over the ranks, and the result is the same on all."""
    settings = model.config.validation
    model.network.eval()
    if model.config.shape == "language-model":  # a text is one: it cannot be shared out
        ids = streams.stream(
            pairs.columns(1), model.tokenizers.target, line_ends=model.config.data.line_ends
        )
        return Validation(perplexity(model, ids, device, dtype).loss, None)
    loss = _loss(model, pairs, device, dtype, ranks)
    if settings.metric == "loss":
        return Validation(loss, None)
    translator = Translator(
        [model],
        device=str(device),
        precision="bf16" if dtype == torch.bfloat16 else "fp32",
    )
    sources, references = zip(*islice(pairs.pairs(), settings.lines or None), strict=True)
    translated = translator.stream(ranks.share_of(sources), Search(beam=settings.beam))
    lines = ranks.all_of([best[0].text for best in translated])
    return Validation(loss, bleu(lines, references, lowercase=translator.lowercase))


@torch.no_grad()
def _loss(
    model: Model, pairs: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> float:
    total, tokens = 0.0, 0.0
    for rows in ranks.share_of(batching.plan(pairs.lengths, budget=_BUDGET, seed=0, epoch=0)):
        batch = batching.collate(pairs, np.asarray(rows), model.tokenizers).to(device)
        with runtime.autocast(device, dtype):
            loss = cross_entropy(model.network, batch)
        total += float(loss.nll)
        tokens += loss.tokens
    total, tokens = ranks.total(total, tokens)
    return total / tokens
