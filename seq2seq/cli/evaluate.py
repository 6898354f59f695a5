"""The commands `seq2seq evaluate` and `seq2seq results`."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.evaluated_models import open_export, open_models, runs_of
from seq2seq.cli.options import (
    MODEL_OPTIONS,
    model_folders,
    set_up_machine,
    with_model_options,
    with_search_options,
)
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export

if TYPE_CHECKING:
    from seq2seq.text.example import Example

_log = logging.getLogger(__name__)


@click.command()
@click.argument("model")
@click.argument("source_file", metavar="[SOURCE", required=False, type=click.Path(path_type=Path))
@click.argument(
    "target_file", metavar="REFERENCE]", required=False, type=click.Path(path_type=Path)
)
@click.option(
    "--split",
    type=click.Choice(["valid", "test"]),
    help="Data set to score if SOURCE is not given. The model's configuration names the files.  "
    "[default: test]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Also write the translations or the predicted labels to this file.",
)
@with_search_options
@click.option("--json", "json_wanted", is_flag=True, help="Print the scores as one JSON object.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    help="Plot BLEU by source length, or the confusion matrix of labels, to this picture file.",
)
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Also append the scores to this results.jsonl. Commit all changes to git first.",
)
@click.option(
    "--command",
    help="Command to record as the one that repeats the evaluation.  [default: this command]",
)
@with_model_options
def evaluate_command(
    model: str,
    source_file: Path | None,
    target_file: Path | None,
    split: str | None,
    output: Path | None,
    json_wanted: bool,
    plot: Path | None,
    record: Path | None,
    command: str | None,
    **options: Any,
) -> None:
    """Score MODEL on SOURCE and REFERENCE, or on the test set that its configuration names.

    SOURCE may also be a table with both sides. The scores are BLEU (also by source length) and chrF
    for translation, the perplexity of SOURCE for a language model, and accuracy and macro F1 for
    labels. Other tasks have two scores: the perplexity of REFERENCE with the correct sources and
    with shuffled sources. The command appends the scores to results.jsonl in MODEL's run folder.
    """
    from seq2seq.decoding.options import search_options
    from seq2seq.evaluation.report import as_json, print_report

    machine = {name: options.pop(name) for name in MODEL_OPTIONS}
    search = search_options(**options)
    _refuse_early(source_file, split, record, plot)
    set_up_machine(model, machine.pop("threads"))
    scored = open_export if is_export(model_folders(model)[0]) else open_models
    config, evaluate, keep = scored(model, **machine)
    _refuse_unused(model, config, search, output, plot)
    pairs, name = _read_examples(config, source_file, target_file, split or "test")
    with ExitStack() as opened:
        files = [source_file, target_file]
        sink = output and opened.enter_context(line_io.open_sink(output, files))
        result = evaluate(pairs, search, name=name)
        if sink:
            sink.writelines(line.encode("utf-8", "replace") + b"\n" for line in result.outputs)
    if plot is not None:
        _draw(result, runs_of(model)[0].name, plot)
    command = command or shlex.join(["seq2seq", *sys.argv[1:]])
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


def _read_examples(
    config: Any, source_file: Path | None, target_file: Path | None, split: Any
) -> tuple[list[Example], str]:
    """Read the examples to score. Return the examples and the name of their data set."""
    from seq2seq.text.corpus import holds_pairs, read_examples, read_table_file
    from seq2seq.text.example import Example

    if source_file is None:
        named = getattr(config.data, split)
        name = Path(named).name if isinstance(named, str) else split
        return list(read_examples(config.data, split)), name
    if target_file is None and holds_pairs(config.data, source_file):
        return list(read_table_file(config.data, source_file)), source_file.stem
    if not config.task.has_source:
        if target_file is not None:
            raise UserError(f"{target_file}: leave out this file for a language model")
        lines = line_io.read_all_lines(source_file)
        return [Example("", line) for line in lines], source_file.stem
    if target_file is None:
        raise UserError(f"{source_file}: give a REFERENCE file after this SOURCE file")
    sources, targets = line_io.read_parallel_lines(source_file, target_file)
    return list(map(Example, sources, targets)), source_file.stem


def _refuse_early(
    source_file: Path | None, split: str | None, record: Path | None, plot: Path | None
) -> None:
    """Raise UserError for options that cannot work, before the evaluation starts."""
    from seq2seq.evaluation.figures import picture_format
    from seq2seq.evaluation.result_rows import require_clean_tree

    if split is not None and source_file is not None:
        raise UserError(f"--split {split} does not work with a SOURCE file; leave out one of them")
    if record is not None:
        require_clean_tree(record, record.resolve().parent)
    if plot is not None:
        picture_format(plot)


def _refuse_unused(
    model: str, config: Any, search: Any, output: Path | None, plot: Path | None
) -> None:
    """Raise UserError for options that the task of the model does not use."""
    from seq2seq.decoding.options import search_options

    writes = config.task.report != "perplexity"
    for option, wanted in (("-o", output), ("--plot", plot)):
        if wanted is not None and not writes:
            raise UserError(
                f"{option} {wanted}: {model} is scored by perplexity, which gives no text and no "
                f"plot; leave out {option}"
            )
    searches = config.task.report == "translation scores"
    if not searches and search != search_options():
        raise UserError(f"{model} is scored without a search; leave out options such as --beam")


def _draw(result: Any, label: str, picture: Path) -> None:
    """Plot the confusion matrix of a result if there is one, else its BLEU by source length."""
    from seq2seq.evaluation import plots

    if result.confusion is not None:
        plots.plot_confusion(result.confusion, result.names, picture)
    else:
        plots.plot_lengths({label: result.by_length}, picture)
