"""Evaluation of a model of any task on a data set, with the usual scores of the task."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from seq2seq.config.schema import DataConfig
from seq2seq.decoding.generator import Generator
from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.language_model import LanguageModel
from seq2seq.decoding.load import AnyModel
from seq2seq.decoding.options import (
    AnySearch,
    BeamOptions,
    MinimumRiskOptions,
    SamplingOptions,
)
from seq2seq.decoding.results import log_notes
from seq2seq.decoding.text_perplexity import measure_targets
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.classification import classification_scores, confusion_matrix
from seq2seq.evaluation.lengths import LengthBucket, bleu_by_length
from seq2seq.evaluation.perplexities import language_model_scores, scores_with_shuffled_sources
from seq2seq.evaluation.scores import Score, corpus_scores
from seq2seq.models.perplexity_value import Perplexity
from seq2seq.progress import show_progress, track
from seq2seq.text.corpus import read_examples
from seq2seq.text.example import Example

if TYPE_CHECKING:  # an exported model is scored without PyTorch
    import torch

    from seq2seq.models.folder import Model

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationResult:
    """The result of one evaluation.

    scores: The scores of the model on the data set.
    seconds: The time of the evaluation in seconds.
    by_length: BLEU by source length. Empty unless the model is a translator.
    outputs: The text or the labels that the model produced for each example. Empty if the model is
    scored by perplexity.
    confusion: [labels, labels] int64, the confusion matrix of a classifier or tagger, else None.
    names: The labels, in the order of the rows and columns of `confusion`.
    decoding: The settings of the search. Empty if there was no search.
    """

    scores: list[Score]
    seconds: float
    by_length: list[LengthBucket] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    confusion: np.ndarray | None = None
    names: list[str] = field(default_factory=list)
    decoding: dict[str, object] = field(default_factory=dict)


def evaluate_models(
    models: Sequence[Model],
    examples: Sequence[Example],
    search: AnySearch,
    *,
    name: str,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
    batch_size: int = 64,
) -> EvaluationResult:
    """Evaluate a model on a data set and return the scores of its task.

    models: One model, or the members of an ensemble of translators.
    examples: The data set.
    name: The name of the data set in messages.
    device: The device to run on; None means the CPU.
    dtype: The number format of matrix products.
    batch_size: The maximum number of lines in a batch.

    Raises UserError for several models that are not translators, or if an example has the wrong
    number of labels.
    """
    first = models[0]
    task = first.config.task
    if task.report == "translation scores":
        translator = Translator.from_models(
            models, device=device, dtype=dtype, batch_size=batch_size
        )
        result = _evaluate_translator(translator, examples, search)
        if dtype is not None and (precision := str(dtype).removeprefix("torch.")) != "float32":
            result.decoding["precision"] = precision
        if len(models) > 1:
            result.decoding["ensemble"] = len(models)
        return result
    if len(models) > 1:
        raise UserError("only translators can form an ensemble: give a single model")
    if task.report == "label scores":
        labeller = Labeller.from_model(first, device=device, dtype=dtype, batch_size=batch_size)
        return _evaluate_labels(labeller, first.config.data, examples, name)
    if not task.has_source:
        writer = LanguageModel.from_model(first, device=device, dtype=dtype)
        return _timed(lambda: language_model_scores(writer, examples, name))

    def measure(column: list[Example]) -> Perplexity:
        import torch

        from seq2seq.models.perplexity import perplexity_of_examples

        chosen = device or torch.device("cpu")
        return perplexity_of_examples(first, column, chosen, dtype or torch.float32)

    return _timed(lambda: scores_with_shuffled_sources(measure, examples))


def evaluate_export(
    model: AnyModel, examples: Sequence[Example], search: AnySearch, *, name: str
) -> EvaluationResult:
    """Score an exported model on a set, with the figures of its task; name: of the set, in
    messages. Raises UserError for labels that do not fit."""
    if isinstance(model, LanguageModel):
        return _timed(lambda: language_model_scores(model, examples, name))
    if isinstance(model, Labeller):
        return _evaluate_labels(model, model.config.data, examples, name)
    translator = model.translator if isinstance(model, Generator) else model
    if translator.task.report == "translation scores":
        return _evaluate_translator(translator, examples, search)
    codec = translator.codec

    def measure(column: list[Example]) -> Perplexity:
        ids = codec.encode(column)
        special = {"bos": codec.target.bos, "eos": codec.target.eos}
        return measure_targets(translator.scoring_engine, ids["source"], ids["target"], **special)

    return _timed(lambda: scores_with_shuffled_sources(measure, examples))


def _timed(measure: Callable[[], list[Score]]) -> EvaluationResult:
    start = time.perf_counter()
    scores = measure()
    return EvaluationResult(scores, time.perf_counter() - start)


def _evaluate_translator(
    translator: Translator, examples: Sequence[Example], search: AnySearch
) -> EvaluationResult:
    sources, references = _sides(examples)
    start = time.perf_counter()
    outputs = []
    with show_progress("translating", len(sources)) as advance:
        for result in translator.translate_windows([sources], search, advance=advance):
            log_notes(result.notes)
            outputs.append(result.best.text)
    seconds = time.perf_counter() - start
    lowercase, tokens = translator.lowercase, translator.bleu_tokens
    return EvaluationResult(
        corpus_scores(outputs, references, lowercase=lowercase, tokens=tokens),
        seconds,
        by_length=bleu_by_length(sources, outputs, references, lowercase=lowercase, tokens=tokens),
        outputs=outputs,
        decoding=_settings(search),
    )


def _settings(search: AnySearch) -> dict[str, object]:
    """Return the settings of a search that affect the results, as a dictionary."""
    risk: dict[str, object] = {}
    if isinstance(search, MinimumRiskOptions):
        risk = {"mbr": search.candidates.n_best, "utility": search.utility}
        search = search.candidates
    optional = ["min_length", "max_length"]
    if isinstance(search, SamplingOptions):
        names = ("temperature", "top_k", "top_p")
        settings = {name: getattr(search, name) for name in names}
        optional.append("seed")
    else:
        beam = search.beam if isinstance(search, BeamOptions) else 1
        settings = {"beam": beam, "length_penalty": search.length_penalty}
    changed = {
        name: getattr(search, name)
        for name in optional
        if getattr(search, name) != getattr(type(search), name)
    }
    return settings | risk | changed


def _evaluate_labels(
    labeller: Labeller, data: DataConfig, examples: Sequence[Example], name: str
) -> EvaluationResult:
    texts, references = _sides(examples)
    start = time.perf_counter()
    labellings = track(labeller.label(texts), "labelling", len(texts))
    predictions = [labelling.labels for labelling in labellings]
    seconds = time.perf_counter() - start
    truths = [line.split(" ") for line in references]
    # The model predicts no label for a blank text. This counts as an error.
    predictions = [
        predicted or [""] * len(true) for predicted, true in zip(predictions, truths, strict=True)
    ]
    for number, (predicted, true) in enumerate(zip(predictions, truths, strict=True), start=1):
        if len(predicted) != len(true):
            raise UserError(
                f"{name}, row {number}: the text needs {len(predicted)} labels, but has {len(true)}"
            )
    all_predicted = list(itertools.chain(*predictions))
    all_true = list(itertools.chain(*truths))
    # The set may contain labels that the model does not know and so never predicts.
    names = sorted({*labeller.names, *all_true, *all_predicted})
    counts = confusion_matrix(all_true, all_predicted, names)
    scores = classification_scores(counts)
    if labeller.codec.task.labels_each_word:
        scores += _unknown_word_accuracy(data, texts, all_true, all_predicted)
    outputs = [" ".join(labels) for labels in predictions]
    return EvaluationResult(scores, seconds, outputs=outputs, confusion=counts, names=names)


def _unknown_word_accuracy(
    data: DataConfig, texts: list[str], true: list[str], predicted: list[str]
) -> list[Score]:
    """Return a list with the accuracy over the words that do not occur in the training text.

    The list is empty if the training set cannot be read or if the training text has all words.
    """
    try:
        training_texts = (example.source for example in read_examples(data, "train"))
        known = {word for text in training_texts for word in text.split(" ")}
    except UserError as error:  # the training set may be on another machine
        _log.warning(
            "accuracy on unknown words is left out, because the training set cannot be read: %s",
            error,
        )
        return []
    words = (word for text in texts for word in text.split(" "))
    labelled = zip(words, true, predicted, strict=True)
    hits = [label == prediction for word, label, prediction in labelled if word not in known]
    if not hits:
        return []
    accuracy = 100 * sum(hits) / len(hits)
    return [Score("accuracy, unknown words", accuracy, f"{len(hits):,} words")]


def _sides(examples: Sequence[Example]) -> tuple[list[str], list[str]]:
    return [example.source for example in examples], [example.target for example in examples]
