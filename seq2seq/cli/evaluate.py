"""The commands `seq2seq evaluate` and `seq2seq results`."""

from __future__ import annotations

import json
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.evaluated_models import open_export, open_models
from seq2seq.cli.evaluation_set import read_evaluation_set, runs_of
from seq2seq.cli.machine import set_up_machine
from seq2seq.cli.options import (
    MODEL_OPTIONS,
    SOURCE_OPTIONS,
    model_folders,
    output_option,
    with_model_options,
    with_search_options,
    with_source_options,
)
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export

_log = logging.getLogger(__name__)

BLEU_TOKENIZERS = ("auto", "13a", "intl", "zh", "char", "ja-mecab", "ko-mecab", "none")


@click.command()
@click.argument("model")
@click.argument("source_file", metavar="[SOURCE", required=False, type=click.Path(path_type=Path))
@click.argument("target_files", metavar="REFERENCE...]", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--split",
    metavar="SET",
    help="Data set of the model's configuration to score if SOURCE is not given: test, valid, or "
    "the name of one of several validation sets.  [default: test]",
)
@click.option(
    "--tokenize",
    type=click.Choice(BLEU_TOKENIZERS),
    help="Tokenizer of sacreBLEU for BLEU. auto chooses a tokenizer by the script (writing "
    "system) of the references. none splits at spaces only.  [default: validation.tokenize of the "
    "model, which is auto unless it was set]",
)
@output_option("Also write the translations or the predicted labels to this file.")
@with_source_options
@with_search_options
@click.option("--json", "json_wanted", is_flag=True, help="Print the scores as one JSON object.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Write a plot to this picture file: BLEU by source length; for symbols, the error rates "
    "by source length and the most frequent confusions; for labels, the confusion matrix.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Also append the scores to this JSONL file, usually results.jsonl. The git repository "
    "must have no uncommitted changes.",
)
@click.option(
    "--command",
    help="With --record: the command that is stored with the scores, so that others can repeat "
    "the evaluation.  [default: the command line]",
)
@with_model_options
def evaluate_command(
    model: str,
    source_file: Path | None,
    target_files: tuple[Path, ...],
    split: str | None,
    tokenize: str | None,
    output: Path | None,
    json_wanted: bool,
    plot: Path | None,
    record: Path | None,
    command: str | None,
    **options: Any,
) -> None:
    """Score MODEL on SOURCE and REFERENCE, or on the test set that its configuration names.

    SOURCE alone may be a table of both. Several REFERENCE files give each line several references.
    Translation is scored by BLEU, chrF, TER, exact match and BLEU by source length; symbols such
    as phones by error rates and confusions; a language model by the perplexity of SOURCE; labels by
    accuracy and macro F1, and tags also by exact match. Other tasks are scored by the perplexity of
    REFERENCE, given the correct and given shuffled sources. The scores are also appended to
    results.jsonl in the run folder of MODEL.
    """
    from seq2seq.decoding.options import search_options
    from seq2seq.decoding.source_options import SourceOptions
    from seq2seq.evaluation.report import as_json, print_report

    machine = {name: options.pop(name) for name in MODEL_OPTIONS}
    lines = SourceOptions(**{name: options.pop(name) for name in SOURCE_OPTIONS})
    search = search_options(**options)
    _refuse_early(source_file, split, record, plot, tokenize)
    set_up_machine(model, machine.pop("threads"))
    scored = open_export if is_export(model_folders(model)[0]) else open_models
    config, evaluate, keep = scored(model, **machine)
    _refuse_unused(model, config, search, output, plot, tokenize)
    pairs, name = read_evaluation_set(config, source_file, target_files, split or "test")
    with ExitStack() as opened:
        files = [source_file, *target_files]
        sink = output and opened.enter_context(line_io.open_sink(output, files))
        result = evaluate(pairs, search, name=name, tokenize=tokenize, source=lines)
        if sink:
            sink.writelines(line.encode("utf-8", "replace") + b"\n" for line in result.outputs)
    _draw(result, runs_of(model)[0].name, plot)
    try:
        keep(name, result, len(pairs), command, record)
    finally:  # print last, because the reader may close the pipe early (`| head`)
        if json_wanted:
            click.echo(json.dumps(as_json(name, result, len(pairs))))
        else:
            print_report(name, result, len(pairs))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def results_command(folder: Path) -> None:
    """Write RESULTS.md in FOLDER from the scores in its results.jsonl."""
    from seq2seq.evaluation.result_rows import write_results

    _log.info("wrote %s", write_results(folder))


def _refuse_early(
    source_file: Path | None,
    split: str | None,
    record: Path | None,
    plot: Path | None,
    tokenize: str | None,
) -> None:
    """Raise UserError for options that cannot work, before the models are loaded."""
    from seq2seq.evaluation.figures import picture_format
    from seq2seq.evaluation.result_rows import require_clean_tree

    if split is not None and source_file is not None:
        raise UserError(f"--split {split} does not work with a SOURCE file; leave out one of them")
    if record is not None:
        try:
            require_clean_tree(record, record.resolve().parent)
        except UserError as error:
            raise UserError(f"--record {error}") from None
    if plot is not None:
        picture_format(plot)
    if tokenize not in (None, "auto"):
        from seq2seq.evaluation.scores import require_bleu_tokenizer

        require_bleu_tokenizer(str(tokenize))


def _refuse_unused(
    model: str,
    config: Any,
    search: Any,
    output: Path | None,
    plot: Path | None,
    tokenize: str | None,
) -> None:
    """Raise UserError for options that the task of the model does not use."""
    from seq2seq.decoding.options import search_options

    writes = config.task.report != "perplexity"
    for option, wanted in (("-o", output), ("--plot", plot)):
        if wanted is not None and not writes:
            raise UserError(
                f"{option} {wanted}: {model} is scored by perplexity, so there is no text and no "
                f"plot to write; leave out {option}"
            )
    searches = config.task.report == "translation scores"
    if not searches and tokenize is not None:
        raise UserError(f"{model} is not scored by BLEU; leave out --tokenize")
    if not searches and search != search_options():
        raise UserError(
            f"{model} is evaluated without a search; leave out search options such as --beam"
        )


def _draw(result: Any, label: str, picture: Path | None) -> None:
    """Plot the confusion matrix of labels, BLEU by source length, or the errors of symbols.

    If `picture` is None, plot nothing.
    """
    from seq2seq.evaluation import length_plots, plots

    if picture is None:
        return
    if result.confusion is not None:
        plots.plot_confusion(result.confusion, result.names, picture)
    elif result.by_length:
        length_plots.plot_lengths({label: result.by_length}, picture)
    else:
        length_plots.plot_symbol_errors(result.symbols_by_length, result.confusions, picture)
