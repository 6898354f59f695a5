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

from seq2seq import runtime
from seq2seq.config.schema import Config, DataConfig
from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.searcher import Search
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.classification import classification_scores, confusion_matrix
from seq2seq.evaluation.lengths import LengthBucket, bleu_by_length
from seq2seq.evaluation.perplexity import perplexity_of_lines, perplexity_of_pairs
from seq2seq.evaluation.scores import Score, corpus_scores
from seq2seq.models.folder import Model
from seq2seq.text.corpus import Pair, read_pairs

log = logging.getLogger(__name__)


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


def scored_by_perplexity(config: Config) -> bool:
    """Whether perplexity is all that a model is scored by: then it writes nothing."""
    return config.task.report == "perplexity"


def evaluate_models(
    models: Sequence[Model],
    pairs: Sequence[Pair],
    search: Search,
    device: str,
    precision: str,
    name: str,
) -> EvaluationResult:
    """models: one, or the members of an ensemble of translators; pairs: raw sources and targets,
    sources empty for a language model; name: of the set, in what is said.

    Raises UserError for an ensemble of what is no translator, and for labels that do not fit.
    """
    first = models[0]
    task = first.config.task
    if task.report == "translation scores":
        done = _evaluate_translator(
            Translator(models, device=device, precision=precision), pairs, search
        )
        if len(models) > 1:
            done.decoding["ensemble"] = len(models)
        return done
    if len(models) > 1:
        raise UserError("an ensemble is for translators: name one model")
    if task.report == "label scores":
        return _evaluate_labels(first, pairs, device, precision, name)
    chosen = runtime.select_device(device)
    dtype = runtime.select_dtype(precision, chosen)
    if not task.has_source:
        return _evaluate_language_model(first, [line for _, line in pairs], chosen, dtype, name)
    return _evaluate_with_shuffled_sources(first, pairs, chosen, dtype)


def _evaluate_translator(
    translator: Translator, pairs: Sequence[Pair], search: Search
) -> EvaluationResult:
    sources, references = _sides(pairs)
    start = time.perf_counter()
    outputs = [ranked[0].text for ranked in translator.window(sources, search)]
    seconds = time.perf_counter() - start
    lowercase, tokens = translator.lowercase, translator.bleu_tokens
    return EvaluationResult(
        corpus_scores(outputs, references, lowercase=lowercase, tokens=tokens),
        seconds,
        by_length=bleu_by_length(sources, outputs, references, lowercase=lowercase, tokens=tokens),
        outputs=outputs,
        decoding=_settings(search, translator.searcher.dtype),
    )


def _settings(search: Search, precision: torch.dtype) -> dict[str, object]:
    """Of a search, what a result is to say of it: all that may change what is found."""
    said: dict[str, object] = {"beam": search.beam, "length_penalty": search.length_penalty}
    if search.sampling:
        said = {name: getattr(search, name) for name in ("temperature", "top_k", "top_p")}
    if search.mbr:
        said |= {"mbr": search.mbr, "utility": search.utility}
    usual = Search()
    for name in ("min_length", "max_length", *(["seed"] if search.sampling else [])):
        if getattr(search, name) != getattr(usual, name):
            said[name] = getattr(search, name)
    if precision != torch.float32:
        said["precision"] = str(precision).removeprefix("torch.")
    return said


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
    model: Model, pairs: Sequence[Pair], device: str, precision: str, name: str
) -> EvaluationResult:
    labeller = Labeller(model, device=device, precision=precision)
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
    if model.config.task.labels_each_word:
        scores += _unknown_word_accuracy(model.config.data, texts, right, told)
    outputs = [" ".join(labels) for labels in found]
    return EvaluationResult(scores, seconds, outputs=outputs, confusion=counts, names=names)


def _unknown_word_accuracy(
    data: DataConfig, texts: list[str], wanted: list[str], found: list[str]
) -> list[Score]:
    """Accuracy over the words that the training text does not hold."""
    try:
        known = {word for text, _ in read_pairs(data, "train") for word in text.split(" ")}
    except UserError as error:  # a model may be far from what it has learned from
        log.warning("which words are unknown cannot be told: %s", error)
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
