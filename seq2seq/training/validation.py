"""Judging a model while it is trained: through the product's own translator."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch

from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.searcher import Search
from seq2seq.decoding.translator import Translator
from seq2seq.evaluation.perplexity import batches_of, perplexity, perplexity_of_batches
from seq2seq.evaluation.scores import bleu
from seq2seq.models.folder import Model
from seq2seq.text import streams
from seq2seq.text.dataset import Dataset
from seq2seq.text.languages import tokens_of
from seq2seq.training.distributed import Ranks


@dataclass(frozen=True)
class Validation:
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
) -> Validation:
    """The loss over all pairs, and the BLEU of their translations against the raw targets; the work
    is shared out over the ranks, and the result is the same on all."""
    settings = model.config.validation
    model.network.eval()
    if model.config.shape == "language-model":  # a text is one: it cannot be shared out
        ids = streams.stream(
            pairs.columns(1), model.tokenizers.target, line_ends=model.config.data.line_ends
        )
        # Each rank's own differs in a bit where the machines do; all must go the same way.
        return Validation(ranks.of_first(perplexity(model, ids, device, dtype).loss))
    loss = _loss(model, pairs, device, dtype, ranks)
    if settings.metric == "loss":
        return Validation(loss)
    precision = "bf16" if dtype == torch.bfloat16 else "fp32"
    if settings.metric == "accuracy":
        return Validation(loss, accuracy=_accuracy(model, pairs, str(device), precision, ranks))
    translator = Translator([model], device=str(device), precision=precision)
    sources, references = zip(*islice(pairs.pairs(), settings.lines or None), strict=True)
    translated = translator.stream(ranks.share_of(sources), Search(beam=settings.beam))
    lines = ranks.all_of([best[0].text for best in translated])
    tokens = tokens_of(model.config.data.target)
    return Validation(loss, bleu(lines, references, lowercase=translator.lowercase, tokens=tokens))


def _accuracy(model: Model, pairs: Dataset, device: str, precision: str, ranks: Ranks) -> float:
    labeller = Labeller(model, device=device, precision=precision)
    share = ranks.share_of(list(pairs.pairs()))
    right = total = 0
    for found, pair in zip(labeller.stream(source for source, _ in share), share, strict=True):
        wanted = pair[1].split(" ")
        # A blank text has no labels, which is wrong.
        right += sum(one == other for one, other in zip(found.labels, wanted, strict=False))
        total += len(wanted)
    right_in_all, in_all = ranks.total(right, total)
    return right_in_all / in_all


def _loss(
    model: Model, pairs: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> float:
    share = ranks.share_of(batches_of(pairs))
    found = perplexity_of_batches(model, pairs, share, device, dtype)
    nll, tokens = ranks.total(found.nll, found.tokens)
    return nll / tokens
