"""Evaluate a model of any task on a data set, with the usual scores of the task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from seq2seq.config.data_section import DataConfig
from seq2seq.decoding.constraint_options import CONSTRAINTS
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
from seq2seq.decoding.results import NoteLog
from seq2seq.decoding.source_options import SourceOptions, changed_settings
from seq2seq.decoding.text_perplexity import measure_targets
from seq2seq.decoding.translator import Translator
from seq2seq.errors import UserError
from seq2seq.evaluation.evaluation_result import EvaluationResult
from seq2seq.evaluation.label_evaluation import evaluate_labels
from seq2seq.evaluation.output_scores import score_outputs
from seq2seq.evaluation.perplexities import language_model_scores, scores_with_shuffled_sources
from seq2seq.evaluation.scores import Score, require_bleu_tokenizer
from seq2seq.evaluation.symbol_scores import scored_by_text
from seq2seq.models.perplexity_value import Perplexity
from seq2seq.progress import show_progress
from seq2seq.text.example import Example
from seq2seq.text.features import encoded_sources, write_source
from seq2seq.text.scripts import choose_bleu_tokenizer
from seq2seq.text.text_changes import report_unwritable

if TYPE_CHECKING:  # an exported model is scored without PyTorch
    import torch

    from seq2seq.models.folder import Model


def evaluate_models(
    models: Sequence[Model],
    examples: Sequence[Example],
    search: AnySearch,
    *,
    name: str,
    device: torch.device | None = None,
    dtype: torch.dtype | None = None,
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
    if task.report == "translation scores":
        translator = Translator.from_models(
            models, device=device, dtype=dtype, batch_size=batch_size
        )
        result = _evaluate_translator(translator, examples, search, name, tokenize, source)
        if dtype is not None and (precision := str(dtype).removeprefix("torch.")) != "float32":
            result.decoding["precision"] = precision
        if len(models) > 1:
            result.decoding["ensemble"] = len(models)
        return result
    if len(models) > 1:
        raise UserError("only translators can form an ensemble: give a single model")
    if task.report == "label scores":
        labeller = Labeller.from_model(first, device=device, dtype=dtype, batch_size=batch_size)
        return evaluate_labels(labeller, first.config.data, examples, name)
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
    model: AnyModel,
    examples: Sequence[Example],
    search: AnySearch,
    *,
    name: str,
    data: DataConfig,
    tokenize: str | None = None,
    source: SourceOptions | None = None,
) -> EvaluationResult:
    """Evaluate an exported model on a data set and return the scores of its task.

    data: The data sets of the model, with their paths on this machine.
    The other arguments are those of `evaluate_models`. Raises UserError if an example has the wrong
    number of labels, or if the tokenizer of BLEU is not installed."""
    if isinstance(model, LanguageModel):
        return _timed(lambda: language_model_scores(model, examples, name))
    if isinstance(model, Labeller):
        return evaluate_labels(model, data, examples, name)
    translator = model.translator if isinstance(model, Generator) else model
    if translator.task.report == "translation scores":
        return _evaluate_translator(translator, examples, search, name, tokenize, source)
    codec = translator.codec

    def measure(column: list[Example]) -> Perplexity:
        ids = codec.encode(column)
        engine, sources = translator.scoring_engine, encoded_sources(ids)
        return measure_targets(engine, sources, ids["target"], tokenizer=codec.target)

    return _timed(lambda: scores_with_shuffled_sources(measure, examples))


def _timed(measure: Callable[[], list[Score]]) -> EvaluationResult:
    start = time.perf_counter()
    scores = measure()
    return EvaluationResult(scores, time.perf_counter() - start)


def _evaluate_translator(
    translator: Translator,
    examples: Sequence[Example],
    search: AnySearch,
    name: str,
    tokenize: str | None,
    source: SourceOptions | None,
) -> EvaluationResult:
    lines, config = source or SourceOptions(), translator.configs[0]
    references = [example.target for example in examples]
    sources = [write_source(example.source, example.features) for example in examples]
    chosen = None
    if scored_by_text(config) or tokenize is not None:
        wanted = tokenize or config.validation.tokenize
        chosen = choose_bleu_tokenizer(references, config.data.target, wanted)
        require_bleu_tokenizer(chosen.name)
    report_unwritable(examples, translator.codec, name)
    start = time.perf_counter()
    outputs = []
    with show_progress("translating", len(sources)) as advance, NoteLog() as log:
        for result in translator.translate_windows(
            [sources], search, advance=advance, source=lines
        ):
            log.add(result.notes)
            outputs.append(result.best.text)
    seconds = time.perf_counter() - start
    scored = score_outputs(config, examples, outputs, bleu=chosen)
    return EvaluationResult(
        scored.scores,
        seconds,
        by_length=scored.by_length,
        symbols_by_length=scored.symbols_by_length,
        confusions=scored.confusions,
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
