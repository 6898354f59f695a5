"""Evaluation of a model of any task on a data set, with the usual scores of the task."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Sequence
from itertools import chain

import torch

from seq2seq.decoding.constraint_options import CONSTRAINTS
from seq2seq.decoding.labeller import Labeller
from seq2seq.decoding.options import (
    AnySearch,
    BeamOptions,
    MinimumRiskOptions,
    SamplingOptions,
)
from seq2seq.decoding.results import NoteLog
from seq2seq.decoding.source_options import SourceOptions, changed_settings
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.evaluation_result import EvaluationResult, split_sides
from seq2seq.evaluation.label_evaluation import evaluate_labels
from seq2seq.evaluation.lengths import bleu_by_length
from seq2seq.evaluation.scores import Score, can_judge, corpus_scores, require_bleu_tokenizer
from seq2seq.models.folder import Model
from seq2seq.models.perplexity import (
    Perplexity,
    format_share,
    perplexity_of_examples,
    perplexity_of_lines,
)
from seq2seq.progress import show_progress
from seq2seq.text.example import Example, further_references
from seq2seq.text.scripts import BleuTokenizer, choose_bleu_tokenizer

_log = logging.getLogger(__name__)


def evaluate_models(
    models: Sequence[Model],
    examples: Sequence[Example],
    search: AnySearch,
    *,
    name: str,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 64,
    tokenize: str | None = None,
    source: SourceOptions | None = None,
) -> EvaluationResult:
    """Evaluate a model on a data set and return the scores of its task.

    models: One model, or the members of an ensemble of translators.
    examples: The data set.
    name: The name of the data set in messages.
    device: The device to run on; None means the CPU.
    dtype: The number format of matrix products.
    batch_size: The maximum number of lines in a batch.
    tokenize: The tokenizer of BLEU in sacreBLEU, or "auto", which follows the script of the
        references. None means `validation.tokenize` of the model.

    Raises UserError for several models that are not translators, if an example has the wrong number
    of labels, or if the tokenizer of BLEU is not installed.
    """
    first = models[0]
    task = first.config.task
    device = device or torch.device("cpu")
    if task.report == "translation scores":
        translator = Translator.from_models(
            models, device=device, dtype=dtype, batch_size=batch_size
        )
        references = (example.target for example in examples)
        chosen = choose_bleu_tokenizer(
            references, first.config.data.target, tokenize or first.config.validation.tokenize
        )
        require_bleu_tokenizer(chosen.name)
        result = _evaluate_translator(
            translator, examples, search, source or SourceOptions(), chosen
        )
        if dtype != torch.float32:
            result.decoding["precision"] = str(dtype).removeprefix("torch.")
        if len(models) > 1:
            result.decoding["ensemble"] = len(models)
        return result
    if len(models) > 1:
        raise UserError("only translators can form an ensemble: give a single model")
    if task.report == "label scores":
        labeller = Labeller(first, device=device, dtype=dtype, batch_size=batch_size)
        return evaluate_labels(labeller, first.config.data, examples, name)
    if not task.has_source:
        lines = [example.target for example in examples]
        return _evaluate_language_model(first, lines, device, dtype, name)
    return _evaluate_with_shuffled_sources(first, examples, device, dtype)


def _evaluate_translator(
    translator: Translator,
    examples: Sequence[Example],
    search: AnySearch,
    lines: SourceOptions,
    chosen: BleuTokenizer,
) -> EvaluationResult:
    sources, references = split_sides(examples)
    start = time.perf_counter()
    outputs = []
    with show_progress("translating", len(sources)) as advance, NoteLog() as log:
        for result in translator.translate_windows(
            [sources], search, advance=advance, source=lines
        ):
            log.add(result.notes)
            outputs.append(result.best.text)
    seconds = time.perf_counter() - start
    lowercase, tokens, more = translator.lowercase, chosen.name, further_references(examples)
    if not can_judge([*references, *chain(*more)], tokens=tokens):
        _log.warning(
            "BLEU cannot judge these translations, because no reference has four tokens; use chrF, "
            "TER or exact match"
        )
    scores = corpus_scores(
        outputs, references, lowercase=lowercase, tokens=tokens, more_references=more
    )
    by_length = bleu_by_length(
        sources, outputs, references, lowercase=lowercase, tokens=tokens, more_references=more
    )
    return EvaluationResult(
        scores,
        seconds,
        by_length=by_length,
        outputs=outputs,
        decoding=_settings(search) | changed_settings(lines),
        bleu_tokens=chosen,
    )


def _settings(search: AnySearch) -> dict[str, object]:
    """Return the settings of a search that affect the results, as a dictionary."""
    risk: dict[str, object] = {}
    if isinstance(search, MinimumRiskOptions):
        risk = {"mbr": search.candidates.n_best, "utility": search.utility}
        search = search.candidates
    optional = ["min_length", "max_length", *CONSTRAINTS]
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
    perplexity = perplexity_of_lines(model, lines, device, dtype, name)
    scores = _perplexity_scores("perplexity", perplexity, ", state carried")
    return EvaluationResult(scores, time.perf_counter() - start)


def _perplexity_scores(title: str, perplexity: Perplexity, how: str = "") -> list[Score]:
    """Return the perplexity, and also the one without unknown tokens if there are any.

    The signature says how many tokens are unknown. how: The end of the signatures.
    """
    signature, unknown = f"{perplexity.tokens:,} tokens{how}", perplexity.unknown
    if not unknown:
        return [Score(title, perplexity.value, signature)]
    share = format_share(perplexity.unknown_share)
    scores = [Score(title, perplexity.value, f"{signature}, {share} unknown (<unk>)")]
    if perplexity.known_value is not None:
        counted = f"{perplexity.tokens - unknown:,} tokens{how}"
        scores.append(Score(f"{title}, known tokens", perplexity.known_value, counted))
    return scores


def _evaluate_with_shuffled_sources(
    model: Model, examples: Sequence[Example], device: torch.device, dtype: torch.dtype
) -> EvaluationResult:
    """Compute perplexity twice: with the correct sources, and with the sources in a random order.

    The difference between the two perplexities shows how much the model uses the source.
    """
    sources, targets = split_sides(examples)
    shuffled = random.Random(1).sample(sources, len(sources))
    start = time.perf_counter()
    with_own_source, with_shuffled = (
        perplexity_of_examples(model, map(Example, column, targets), device, dtype)
        for column in (sources, shuffled)
    )
    scores = _perplexity_scores("perplexity", with_own_source)
    scores += _perplexity_scores("perplexity, sources shuffled", with_shuffled)
    return EvaluationResult(scores, time.perf_counter() - start)
