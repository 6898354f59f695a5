"""One model, one set, and what its field reports of it, whatever the shape."""

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
from seq2seq.config import Config, Data
from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.searcher import Search
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.labels import confusion, label_scores
from seq2seq.evaluation.lengths import Bucket, by_length
from seq2seq.evaluation.perplexity import perplexity_of_lines, perplexity_of_pairs
from seq2seq.evaluation.scores import Score, corpus_scores
from seq2seq.models.folder import Model
from seq2seq.text.corpus import Pair, read_pairs

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """scores: the figures; by_length: BLEU by source length, of a translator; outputs: what it
    wrote for each row of the set, empty where nothing was written; confusion: [labels, labels] of
    `names`, of a classifier or a tagger; decoding: the settings of the search; seconds: how long
    the set took."""

    scores: list[Score]
    seconds: float
    by_length: list[Bucket] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    confusion: np.ndarray | None = None
    names: list[str] = field(default_factory=list)
    decoding: dict[str, object] = field(default_factory=dict)


def by_perplexity(config: Config) -> bool:
    """Whether perplexity is all that a model is scored by: then it writes nothing."""
    aligned = config.context.kind == "aligned"
    return config.shape in ("language-model", "generation") or aligned


def evaluate(
    models: Sequence[Model],
    pairs: Sequence[Pair],
    search: Search,
    device: str,
    precision: str,
    name: str,
) -> Evaluation:
    """models: one, or the members of an ensemble of translators; pairs: raw sources and targets,
    sources empty for a language model; name: of the set, in what is said.

    Raises UserError for an ensemble of what is no translator, and for labels that do not fit.
    """
    first = models[0]
    shape = first.config.shape
    if shape == "translation" and not by_perplexity(first.config):
        done = _translated(Translator(models, device=device, precision=precision), pairs, search)
        if len(models) > 1:
            done.decoding["ensemble"] = len(models)
        return done
    if len(models) > 1:
        raise UserError("an ensemble is for translators: name one model")
    if shape in ("classification", "tagging"):
        return _labelled(first, pairs, device, precision, name)
    chosen = runtime.device(device)
    dtype = runtime.precision(precision, chosen)
    if shape == "language-model":
        return _foretold(first, [line for _, line in pairs], chosen, dtype, name)
    return _written(first, pairs, chosen, dtype)


def _translated(translator: Translator, pairs: Sequence[Pair], search: Search) -> Evaluation:
    sources, references = _sides(pairs)
    start = time.perf_counter()
    outputs = [ranked[0].text for ranked in translator.window(sources, search)]
    seconds = time.perf_counter() - start
    lowercase, tokens = translator.lowercase, translator.tokens
    return Evaluation(
        corpus_scores(outputs, references, lowercase=lowercase, tokens=tokens),
        seconds,
        by_length=by_length(sources, outputs, references, lowercase=lowercase, tokens=tokens),
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


def _foretold(
    model: Model, lines: list[str], device: torch.device, dtype: torch.dtype, name: str
) -> Evaluation:
    start = time.perf_counter()
    found = perplexity_of_lines(model, lines, device, dtype, name)
    score = Score("perplexity", found.value, f"{found.tokens:,} tokens, state carried")
    return Evaluation([score], time.perf_counter() - start)


def _written(
    model: Model, pairs: Sequence[Pair], device: torch.device, dtype: torch.dtype
) -> Evaluation:
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
    return Evaluation(
        [
            Score("perplexity", true.value, said),
            Score("perplexity, sources shuffled", other.value, said),
        ],
        time.perf_counter() - start,
    )


def _labelled(
    model: Model, pairs: Sequence[Pair], device: str, precision: str, name: str
) -> Evaluation:
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
    counts = confusion(right, told, names)
    scores = label_scores(counts)
    if model.config.shape == "tagging":
        scores += _of_unknown_words(model.config.data, texts, right, told)
    outputs = [" ".join(labels) for labels in found]
    return Evaluation(scores, seconds, outputs=outputs, confusion=counts, names=names)


def _of_unknown_words(
    data: Data, texts: list[str], wanted: list[str], found: list[str]
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
