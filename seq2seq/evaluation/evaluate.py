"""One model, one set, and what its field reports of it, whatever the task."""

from __future__ import annotations

import itertools
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from seq2seq.config.schema import DataConfig
from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.options import (
    AnySearch,
    BeamOptions,
    MinimumRiskOptions,
    SamplingOptions,
)
from seq2seq.decoding.results import log_notes
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.classification import classification_scores, confusion_matrix
from seq2seq.evaluation.lengths import LengthBucket, bleu_by_length
from seq2seq.evaluation.perplexity import perplexity_of_lines, perplexity_of_pairs
from seq2seq.evaluation.scores import Score, corpus_scores
from seq2seq.models.folder import Model
from seq2seq.text.corpus import Pair, read_pairs

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationResult:
    """scores: the figures; by_length: BLEU by source length, of a translator; outputs: what it
    wrote for each row of the set, empty where nothing was written; confusion: [labels, labels] of
    `names`, of a classifier or a tagger; decoding: the settings of the search; seconds: how long
    the set took."""

    scores: list[Score]
    seconds: float
    by_length: list[LengthBucket] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    confusion: np.ndarray | None = None
    names: list[str] = field(default_factory=list)
    decoding: dict[str, object] = field(default_factory=dict)


def evaluate_models(
    models: Sequence[Model],
    pairs: Sequence[Pair],
    search: AnySearch,
    *,
    name: str,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 64,
) -> EvaluationResult:
    """models: one, or the members of an ensemble of translators; pairs: raw sources and targets,
    sources empty for a language model; name: of the set, in messages; device: the CPU if None;
    dtype: of the matrix products; batch_size: lines that are worked on together.

    Raises UserError for an ensemble of other models, and for labels that do not fit.
    """
    first = models[0]
    task = first.config.task
    device = device or torch.device("cpu")
    if task.report == "translation scores":
        translator = Translator.from_models(
            models, device=device, dtype=dtype, batch_size=batch_size
        )
        result = _evaluate_translator(translator, pairs, search)
        if dtype != torch.float32:
            result.decoding["precision"] = str(dtype).removeprefix("torch.")
        if len(models) > 1:
            result.decoding["ensemble"] = len(models)
        return result
    if len(models) > 1:
        raise UserError("an ensemble is for translators: name one model")
    if task.report == "label scores":
        labeller = Labeller(first, device=device, dtype=dtype, batch_size=batch_size)
        return _evaluate_labels(labeller, first.config.data, pairs, name)
    if not task.has_source:
        return _evaluate_language_model(first, [line for _, line in pairs], device, dtype, name)
    return _evaluate_with_shuffled_sources(first, pairs, device, dtype)


def _evaluate_translator(
    translator: Translator, pairs: Sequence[Pair], search: AnySearch
) -> EvaluationResult:
    sources, references = _sides(pairs)
    start = time.perf_counter()
    outputs = []
    for result in translator.translate_windows([sources], search):
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
    """What a result says of its search: all that may change what is found."""
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


def _evaluate_language_model(
    model: Model, lines: list[str], device: torch.device, dtype: torch.dtype, name: str
) -> EvaluationResult:
    start = time.perf_counter()
    found = perplexity_of_lines(model, lines, device, dtype, name)
    score = Score("perplexity", found.value, f"{found.tokens:,} tokens, state carried")
    return EvaluationResult([score], time.perf_counter() - start)


def _evaluate_with_shuffled_sources(
    model: Model, pairs: Sequence[Pair], device: torch.device, dtype: torch.dtype
) -> EvaluationResult:
    """What the source is worth shows where another row's is given: then targets are foretold worse
    by as much."""
    sources, targets = _sides(pairs)
    shuffled = random.Random(1).sample(sources, len(sources))
    start = time.perf_counter()
    true, other = (
        perplexity_of_pairs(model, zip(given, targets, strict=True), device, dtype)
        for given in (sources, shuffled)
    )
    said = f"{true.tokens:,} tokens"
    return EvaluationResult(
        [
            Score("perplexity", true.value, said),
            Score("perplexity, sources shuffled", other.value, said),
        ],
        time.perf_counter() - start,
    )


def _evaluate_labels(
    labeller: Labeller, data: DataConfig, pairs: Sequence[Pair], name: str
) -> EvaluationResult:
    texts, references = _sides(pairs)
    start = time.perf_counter()
    found = [one.labels for one in labeller.stream(texts)]
    seconds = time.perf_counter() - start
    wanted = [line.split(" ") for line in references]
    # A blank text has no labels, which is wrong.
    found = [one or [""] * len(other) for one, other in zip(found, wanted, strict=True)]
    for number, (one, other) in enumerate(zip(found, wanted, strict=True), start=1):
        if len(one) != len(other):
            raise UserError(
                f"{name}, row {number}: {len(other)} labels where {len(one)} are to be told"
            )
    told, right = list(itertools.chain(*found)), list(itertools.chain(*wanted))
    names = sorted({*labeller.names, *right, *told})  # one that training had not is never found
    counts = confusion_matrix(right, told, names)
    scores = classification_scores(counts)
    if labeller.codec.task.labels_each_word:
        scores += _unknown_word_accuracy(data, texts, right, told)
    outputs = [" ".join(labels) for labels in found]
    return EvaluationResult(scores, seconds, outputs=outputs, confusion=counts, names=names)


def _unknown_word_accuracy(
    data: DataConfig, texts: list[str], wanted: list[str], found: list[str]
) -> list[Score]:
    """Accuracy over the words that the training text does not hold."""
    try:
        known = {word for text, _ in read_pairs(data, "train") for word in text.split(" ")}
    except UserError as error:  # a model may be far from what it has learned from
        _log.warning("which words are unknown cannot be told: %s", error)
        return []
    words = (word for text in texts for word in text.split(" "))
    told = zip(words, wanted, found, strict=True)
    right = [one == other for word, one, other in told if word not in known]
    if not right:
        return []
    share = 100 * sum(right) / len(right)
    return [Score("accuracy, unknown words", share, f"{len(right):,} words")]


def _sides(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    return [source for source, _ in pairs], [target for _, target in pairs]
