"""Validate a model during training, with the same `Translator` and `Labeller` that users run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, islice

import torch

from seq2seq.config.schema import Config
from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.options import BeamOptions, GreedyOptions
from seq2seq.decoding.results import NoteKind
from seq2seq.decoding.translator import Translator
from seq2seq.evaluation.scores import (
    bleu_signature,
    can_judge,
    corpus_chrf,
    corpus_ter,
    exact_match,
    measure_bleu,
    require_bleu_tokenizer,
)
from seq2seq.evaluation.symbol_scores import (
    SymbolComparison,
    scored_by_symbols,
    scored_by_text,
    symbol_splitter,
)
from seq2seq.models.folder import Model
from seq2seq.models.perplexity import (
    evaluation_batches,
    perplexity_of_batches,
    perplexity_of_ids,
)
from seq2seq.models.perplexity_value import Perplexity
from seq2seq.text import bptt
from seq2seq.text.compared_form import ComparedForm
from seq2seq.text.dataset import Dataset
from seq2seq.text.example import Example, further_references
from seq2seq.text.features import write_source
from seq2seq.text.scripts import choose_bleu_tokenizer
from seq2seq.training.callbacks import ValidationScores
from seq2seq.training.context import TrainingContext
from seq2seq.training.distributed import Ranks

_log = logging.getLogger(__name__)

_OF_LOSS = ("loss", "perplexity")  # metrics that need neither translations nor labels


_WARNINGS: dict[NoteKind, str] = {
    "split": "%d of %d lines of the validation set are too long and are translated in parts",
    "no tokens": "%d of %d lines of the validation set have no tokens after normalisation",
    "cut": "%d of %d translations of the validation set were cut at the maximum length",
}


@dataclass(frozen=True)
class ValidationResult:
    """The result of one validation.

    scores: the scores of the validation set.
    judged: whether the metric can judge the weights. BLEU cannot if no 4-gram matches.
    """

    scores: ValidationScores
    judged: bool = True


class TextScorer:
    """The references of a validation set, and the metrics that compare translations with them.

    tokens: the tokenizer of BLEU.
    by_text: whether to compute BLEU.
    symbols: how to split texts into symbols; None if symbols are not scored.
    """

    def __init__(self, config: Config, dataset: Dataset) -> None:
        """Read the references. Raise UserError if the tokenizer of BLEU is not installed."""
        self.settings, target = config.validation, config.tokenizer.of("target")
        self.form = ComparedForm.of(config.tokenizer)
        self.wanted = config.task.has_target_text and self.settings.metric not in _OF_LOSS
        self.by_text = self.wanted and scored_by_text(config)
        self.symbols = symbol_splitter(target) if scored_by_symbols(config) else None
        self.examples: list[Example] = []
        if self.wanted:
            self.examples = list(islice(dataset.examples(), self.settings.lines or None))
        self.references = [example.target for example in self.examples]
        self.more = further_references(self.examples)
        chosen = choose_bleu_tokenizer(self.references, config.data.target, self.settings.tokenize)
        self.tokens, self._reason = chosen.name, chosen.reason
        if self.by_text:
            require_bleu_tokenizer(self.tokens)
        self._warned: set[NoteKind] = set()

    @property
    def signature(self) -> str:
        """How sacreBLEU computes BLEU; "" if it is not computed."""
        if not self.by_text:
            return ""
        references = 1 + len(self.more)
        return bleu_signature(
            lowercase=self.form.lowercase, tokens=self.tokens, references=references
        )

    def describe(self) -> None:
        """Log the tokenizer of BLEU, and whether BLEU can judge translations."""
        if not self.wanted or self.settings.metric != "bleu":
            return
        _log.info("validation: BLEU with the tokenizer %s (%s)", self.tokens, self._reason)
        if not can_judge([*self.references, *chain(*self.more)], tokens=self.tokens):
            _log.warning(
                "validation: BLEU cannot judge the translations, because no reference has four "
                "tokens; the validation loss chooses the weights. "
                'validation.metric = "chrf" or "exact-match" can judge such texts.'
            )

    def warn(self, counts: Mapping[NoteKind, float], lines: int) -> None:
        """Log how many lines of a validation have a note, for each kind of note.

        The first message about a kind is a warning. Later messages about this kind are debug
        messages, because most validations of a run would repeat the warning.

        lines: number of lines that were translated.
        """
        for kind, count in counts.items():
            if count:
                level = logging.DEBUG if kind in self._warned else logging.WARNING
                _log.log(level, _WARNINGS[kind], count, lines)
                self._warned.add(kind)

    def score(self, texts: list[str], scores: ValidationScores) -> bool:
        """Add the scores of translations to `scores`. Return whether the metric can judge them."""
        metric, form, more = self.settings.metric, self.form, self.more
        lowercase = form.lowercase
        scores["exact_match"] = exact_match(texts, self.references, form=form, more_references=more)
        if self.symbols is not None:
            comparison = SymbolComparison(
                texts, self.references, self.symbols, form=form, more_references=more
            )
            errors = comparison.errors()
            scores["wer"], scores["ser"] = errors.word_error_rate, errors.symbol_error_rate
        if not self.by_text:
            return True
        bleu = measure_bleu(
            texts, self.references, lowercase=lowercase, tokens=self.tokens, more_references=more
        )
        scores["bleu"] = bleu.value
        if metric == "chrf":
            scores["chrf"] = corpus_chrf(
                texts, self.references, lowercase=lowercase, more_references=more
            )
        elif metric == "ter":
            scores["ter"] = corpus_ter(
                texts, self.references, tokens=self.tokens, more_references=more
            )
        return metric != "bleu" or bleu.matches > 0


def validate(
    model: Model, dataset: Dataset, scorer: TextScorer, context: TrainingContext
) -> ValidationResult:
    """Compute the loss over all examples and, if `validation.metric` needs it, further scores.

    BLEU, chrF and TER compare translations with the raw target texts. The ranks share the work, and
    every rank gets the same result.
    """
    device, dtype, ranks = context.device, context.dtype, context.ranks
    model.network.eval()
    scores = _perplexity_scores(_perplexity(model, dataset, device, dtype, ranks))
    if model.config.validation.metric in _OF_LOSS:
        return ValidationResult(scores)
    if not scorer.wanted:
        _add_accuracy(scores, model, dataset, device, dtype, ranks)
        return ValidationResult(scores)
    settings = model.config.validation
    translator = Translator.from_models([model], device=device, dtype=dtype)
    search = GreedyOptions() if settings.beam == 1 else BeamOptions(beam=settings.beam)
    texts: list[str] = []
    kinds: Counter[NoteKind] = Counter()
    sources = [write_source(example.source, example.features) for example in scorer.examples]
    for result in translator.stream(ranks.shard(sources), search):
        kinds.update({note.kind for note in result.notes})
        texts.append(result.best.text)
    lines = ranks.gather_shards(texts)
    counts = ranks.all_reduce(*(kinds[kind] for kind in _WARNINGS))
    scorer.warn(dict(zip(_WARNINGS, counts, strict=True)), len(lines))
    return ValidationResult(scores, scorer.score(lines, scores))


def _perplexity_scores(perplexity: Perplexity) -> ValidationScores:
    return {
        "loss": perplexity.loss,
        "perplexity": perplexity.value,
        "unknown": perplexity.unknown_share,
        "known_perplexity": perplexity.known_value if perplexity.unknown else None,
        "bleu": None,
        "chrf": None,
        "ter": None,
        "wer": None,
        "ser": None,
        "exact_match": None,
        "accuracy": None,
    }


def _add_accuracy(
    scores: ValidationScores,
    model: Model,
    dataset: Dataset,
    device: torch.device,
    dtype: torch.dtype,
    ranks: Ranks,
) -> None:
    """Add the accuracy of the labels, and the percentage of texts whose labels are all correct."""
    labeller = Labeller.from_model(model, device=device, dtype=dtype)
    share = ranks.shard(list(dataset.examples()))
    hits = total = whole = 0
    labellings = labeller.label(example.source for example in share)
    for labelling, example in zip(labellings, share, strict=True):
        labels = example.target.split(" ")
        # A blank text gets no predictions, so all its labels count as wrong.
        predictions = zip(labelling.labels, labels, strict=False)
        hits += sum(predicted == label for predicted, label in predictions)
        total += len(labels)
        whole += labelling.labels == labels
    all_hits, all_labels, all_whole = ranks.all_reduce(hits, total, whole)
    scores["accuracy"] = all_hits / all_labels
    scores["exact_match"] = 100 * all_whole / len(dataset)


def _perplexity(
    model: Model, dataset: Dataset, device: torch.device, dtype: torch.dtype, ranks: Ranks
) -> Perplexity:
    if not model.config.task.has_source:  # one long text cannot be split over the ranks
        ids = bptt.concatenate_lines(
            dataset.columns("target"), model.codec.target, line_ends=model.config.data.line_ends
        )
        # Values may differ slightly between machines, but all ranks need the same value.
        return ranks.broadcast(perplexity_of_ids(model, ids, device, dtype))
    share = ranks.shard(evaluation_batches(dataset))
    mine = perplexity_of_batches(model, dataset, share, device, dtype)
    nll, tokens, unknown, unknown_nll = ranks.all_reduce(
        mine.nll, mine.tokens, mine.unknown, mine.unknown_nll
    )
    return Perplexity(nll, int(tokens), int(unknown), unknown_nll)
