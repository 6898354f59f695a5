"""seq2seq evaluate, seq2seq results"""

from __future__ import annotations

import json
import re
import shlex
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.options import model_folders, model_options, search_options
from seq2seq.errors import UserError


@click.command()
@click.argument("model")
@click.argument("source_file", metavar="[SOURCE", required=False, type=click.Path(path_type=Path))
@click.argument(
    "target_file", metavar="REFERENCE]", required=False, type=click.Path(path_type=Path)
)
@click.option(
    "--split",
    type=click.Choice(["valid", "test"]),
    help="Without files: the set that the model's configuration names  [default: test]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Write the translations to a file as well.",
)
@search_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw BLEU by source length.")
@click.option(
    "--record",
    type=click.Path(path_type=Path),
    help="Append a row to this results.jsonl; refuses uncommitted changes.",
)
@click.option(
    "--command",
    help="What makes the figure again, for the row  [default: this command line]",
)
@model_options
def evaluate_command(
    model: str,
    source_file: Path | None,
    target_file: Path | None,
    split: str | None,
    output: Path | None,
    as_json: bool,
    plot: Path | None,
    record: Path | None,
    command: str | None,
    device: str,
    precision: str,
    threads: int,
    **search: Any,
) -> None:
    """Score MODEL on a test set: SOURCE and REFERENCE (or a table of both, as in training), or what
    its configuration names. The figures are added to the results.jsonl of MODEL's run, too.

    A translator: BLEU and chrF of its translations, and BLEU by source length. A language model:
    the perplexity of SOURCE. A classifier or a tagger: accuracy and macro F1; --plot draws what was
    taken for what. A model that writes what is given, or as many tokens as its source has: the
    perplexity of REFERENCE, also with the sources shuffled.
    """
    from seq2seq import runtime
    from seq2seq.decoding.searcher import Search
    from seq2seq.evaluation.evaluate import evaluate_models as evaluated
    from seq2seq.evaluation.result_rows import append_row, require_clean_tree
    from seq2seq.models import folder

    chosen = Search(**search)
    # Before the work, so that it is not done for nothing.
    if split is not None and source_file is not None:
        raise UserError(f"--split {split}: {source_file} is scored: leave out either of them")
    if record is not None:
        require_clean_tree(record, record.resolve().parent)
    if plot is not None:
        from seq2seq.evaluation.figures import picture_format

        picture_format(plot)
    runtime.keep_freed_memory()
    runtime.set_threads(threads)
    models = [folder.load_model(one) for one in model_folders(model)]
    _refuse_unused(model, models[0].config, chosen, output, plot)
    files = [source_file, target_file]
    pairs, name = _pairs(models[0].config, source_file, target_file, split or "test")
    with ExitStack() as opened:
        sink = output and opened.enter_context(line_io.open_sink(output, files))
        done = evaluated(models, pairs, chosen, device, precision, name)
        if sink:
            sink.writelines(line.encode("utf-8", "replace") + b"\n" for line in done.outputs)
    if plot is not None:
        _draw(done, _runs_of(model)[0].name, plot)
    parameters = sum(p.numel() for one in models for p in one.network.parameters())
    command = command or shlex.join(["seq2seq", *sys.argv[1:]])
    row = _row(model, models[0].config.seed, name, done, len(pairs), parameters, command, device)
    run = _runs_of(model)[0]
    try:
        if (run / "metrics.jsonl").exists():
            append_row(run / "results.jsonl", row, require_clean=None)
        if record is not None:
            append_row(record, row, require_clean=record.resolve().parent)
    finally:  # what reads this may leave early (`| head`): nothing is left to be done by then
        if as_json:
            click.echo(json.dumps(_as_json(name, done, len(pairs))))
        else:
            _print(name, done, len(pairs))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def results_command(folder: Path) -> None:
    """Make RESULTS.md from the results.jsonl of FOLDER."""
    from seq2seq.evaluation.result_rows import write_results

    click.echo(f"wrote {write_results(folder)}", err=True)


def _pairs(
    config: Any, source_file: Path | None, target_file: Path | None, split: Any
) -> tuple[list[tuple[str, str]], str]:
    """Sources and references, and what the set is called."""
    from seq2seq.text.corpus import is_table, read_pairs, read_pairs_of_table

    if source_file is None:
        named = getattr(config.data, split)
        name = Path(named).name if isinstance(named, str) else split
        return list(read_pairs(config.data, split)), name
    if target_file is None and is_table(source_file):
        return list(read_pairs_of_table(config.data, source_file)), source_file.stem
    if not config.task.has_source:
        if target_file is not None:
            raise UserError(f"a language model is scored on one text: leave {target_file} out")
        return [("", line) for line in line_io.read_all_lines(source_file)], source_file.stem
    if target_file is None:
        raise UserError(f"{source_file} alone cannot be scored: give a REFERENCE file too")
    both = line_io.read_parallel_lines(source_file, target_file)
    return list(zip(*both, strict=True)), source_file.stem


def _refuse_unused(
    model: str, config: Any, search: Any, output: Path | None, plot: Path | None
) -> None:
    """Raises UserError for what is asked of a model that has no use for it."""
    from seq2seq.decoding.searcher import Search
    from seq2seq.evaluation.evaluate import scored_by_perplexity

    writes = not scored_by_perplexity(config)
    for option, wanted in (("-o", output), ("--plot", plot)):
        if wanted is not None and not writes:
            raise UserError(
                f"{option} {wanted}: {model} is scored by perplexity alone, and leaves nothing "
                "to write or to draw"
            )
    searches = config.task.report == "translation scores"
    if not searches and search != Search(batch_size=search.batch_size):
        raise UserError(f"{model} is scored without a search: leave its options out")


def _draw(done: Any, label: str, picture: Path) -> None:
    from seq2seq.evaluation import plots

    if done.confusion is not None:
        plots.plot_confusion(done.confusion, done.names, picture)
    else:
        plots.plot_lengths({label: done.by_length}, picture)


def _runs_of(model: str) -> list[Path]:
    """The run folder that a model lies in, or that each of an ensemble does."""
    return [one.resolve().parent for one in model_folders(model)]


def _row(
    model: str,
    seed: int,
    name: str,
    done: Any,
    lines: int,
    parameters: int,
    command: str,
    device: str,
) -> dict[str, Any]:
    """The row of results.jsonl; a run's folder is named <recipe>/<variant>[-seed-<n>]. An ensemble
    is named by its first member, and was trained as long as all of them."""
    from seq2seq import runtime
    from seq2seq.evaluation.result_rows import make_row
    from seq2seq.training.run_folder import STARTS_FILE

    runs = _runs_of(model)
    run, minutes = runs[0], [_minutes(one / "metrics.jsonl") for one in runs]
    return make_row(
        recipe=run.parent.name,
        variant=re.sub(r"-seed-\d+$", "", run.name),
        seed=seed,
        split=name,
        decoding=done.decoding,
        scores=done.scores,
        parameters=parameters,
        training_minutes=None if None in minutes else sum(filter(None, minutes)),
        seconds=done.seconds,
        lines=lines,
        command=command,
        device=str(runtime.select_device(device)),
        training=_last(run / STARTS_FILE),  # the last time that it was gone on with
    )


def _last(log: Path) -> dict[str, Any] | None:
    """The last row of a log that the run has kept, if it has."""
    from seq2seq.files import read_jsonl

    rows = read_jsonl(log, growing=True) if log.exists() else []
    return rows[-1][1] if rows else None


def _minutes(metrics: Path) -> float | None:
    """How long the run was trained, by its log."""
    row = _last(metrics)
    return float(row["minutes"]) if row else None


def _as_json(name: str, done: Any, lines: int) -> dict[str, object]:
    found: dict[str, object] = {
        "set": name,
        "lines": lines,
        "seconds": done.seconds,
        "scores": [asdict(score) for score in done.scores],
    }
    if done.by_length:
        found["by_length"] = [asdict(bucket) for bucket in done.by_length]
    if done.confusion is not None:
        found |= {"labels": done.names, "confusion": done.confusion.tolist()}
    return found


def _print(name: str, done: Any, lines: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{name}: {lines:,} lines, {lines / done.seconds:,.0f} lines a second")
    for score in done.scores:
        console.print(f"{score.name} {score.value:.2f}   {score.signature}", markup=False)
    if not done.by_length:
        return
    table = Table(title="BLEU by source length", title_justify="left")
    for heading in ("words", "lines", "BLEU", "length ratio"):
        table.add_column(heading, justify="right")
    for bucket in done.by_length:
        words = f"{bucket.low}+" if bucket.high is None else f"{bucket.low}-{bucket.high}"
        table.add_row(
            words, f"{bucket.lines:,}", f"{bucket.bleu:.2f}", f"{bucket.length_ratio:.3f}"
        )
    console.print(table)
