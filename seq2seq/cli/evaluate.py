"""seq2seq evaluate, seq2seq results"""

from __future__ import annotations

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import streams
from seq2seq.cli.translate import model_options, open_translator, search_options
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
    default="test",
    show_default=True,
    help="Without files: the set that the model's configuration names.",
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
    help="With --record: what makes the figure again  [default: this command line]",
)
@model_options
def evaluate(
    model: str,
    source_file: Path | None,
    target_file: Path | None,
    split: str,
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
    """Translate a test set with MODEL and score it: BLEU and chrF, and BLEU by source length."""
    from seq2seq.decoding.translator import Search
    from seq2seq.evaluation import lengths, plots, scores
    from seq2seq.evaluation.results import append_row, refuse_dirty

    chosen = Search(**search)
    if record is not None:  # before the work, so that it is not done for nothing
        refuse_dirty(record, record.resolve().parent)
    translator = open_translator(model, device, precision, threads)
    sources, references, name = _pairs(model, source_file, target_file, split)
    start = time.perf_counter()
    hypotheses = [ranked[0].text for ranked in translator.window(sources, chosen)]
    seconds = time.perf_counter() - start
    if output is not None:
        with streams.sink(output, [source_file, target_file]) as sink:
            sink.writelines(line.encode("utf-8", "replace") + b"\n" for line in hypotheses)
    found = scores.corpus_scores(hypotheses, references, lowercase=translator.lowercase)
    buckets = lengths.by_length(sources, hypotheses, references)
    if plot is not None:
        plots.plot_lengths({Path(model).parent.name or model: buckets}, plot)
    if as_json:
        click.echo(json.dumps(_as_json(name, found, buckets, seconds, len(sources))))
    else:
        _print(name, found, buckets, seconds, len(sources))
    row = _row(
        model,
        split=name,
        parameters=translator.parameters,
        search=chosen,
        scores=found,
        seconds=seconds,
        lines=len(sources),
        command=command or shlex.join(["seq2seq", *sys.argv[1:]]),
    )
    run = _run_of(model)
    if (run / "metrics.jsonl").exists():
        append_row(run / "results.jsonl", row, require_clean=None)
    if record is not None:
        append_row(record, row, require_clean=record.resolve().parent)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def results(folder: Path) -> None:
    """Make RESULTS.md from the results.jsonl of FOLDER."""
    from seq2seq.evaluation.results import write_results

    click.echo(f"wrote {write_results(folder)}", err=True)


def _pairs(
    model: str, source_file: Path | None, target_file: Path | None, split: Any
) -> tuple[list[str], list[str], str]:
    """Sources, references, and what the set is called."""
    if source_file is not None and target_file is None:
        raise UserError(f"{source_file} alone cannot be scored: give a REFERENCE file too")
    if source_file is not None and target_file is not None:
        sources, references = streams.read_all(source_file), streams.read_all(target_file)
        if len(sources) != len(references):
            raise UserError(
                f"{source_file} has {len(sources):,} lines and {target_file} "
                f"{len(references):,}: they must be translations of each other, line by line"
            )
        return sources, references, source_file.stem
    from seq2seq.models.folder import load_config
    from seq2seq.text.corpus import read_pairs

    data = load_config(Path(model.split(",")[0])).data
    pairs = list(read_pairs(data, split))
    named = getattr(data, split)
    name = Path(named).name if isinstance(named, str) else split
    return [source for source, _ in pairs], [target for _, target in pairs], name


def _run_of(model: str) -> Path:
    """The run folder that a model (the first of an ensemble) lies in."""
    return Path(model.split(",")[0]).resolve().parent


def _row(model: str, *, search: Any, **measured: Any) -> dict[str, Any]:
    """The row of results.jsonl; a run's folder is named <recipe>/<variant>."""
    from seq2seq.evaluation.results import make_row
    from seq2seq.models.folder import load_config

    run = _run_of(model)
    return make_row(
        recipe=run.parent.name,
        variant=run.name,
        seed=load_config(Path(model.split(",")[0])).seed,
        decoding={"beam": search.beam, "length_penalty": search.length_penalty},
        training_minutes=_minutes(run / "metrics.jsonl"),
        **measured,
    )


def _minutes(metrics: Path) -> float | None:
    """How long the run was trained, by its log."""
    from seq2seq.files import read_objects

    if not metrics.exists():
        return None
    rows = read_objects(metrics, growing=True)
    return float(rows[-1][1]["minutes"]) if rows else None


def _as_json(name: str, found: Any, buckets: Any, seconds: float, lines: int) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "set": name,
        "lines": lines,
        "seconds": seconds,
        "scores": [asdict(score) for score in found],
        "by_length": [asdict(bucket) for bucket in buckets],
    }


def _print(name: str, found: Any, buckets: Any, seconds: float, lines: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{name}: {lines:,} lines, {lines / seconds:,.0f} lines a second")
    for score in found:
        console.print(f"{score.name} {score.value:.2f}   {score.signature}", markup=False)
    table = Table(title="BLEU by source length", title_justify="left")
    for heading in ("words", "lines", "BLEU", "length ratio"):
        table.add_column(heading, justify="right")
    for bucket in buckets:
        words = f"{bucket.low}+" if bucket.high is None else f"{bucket.low}-{bucket.high}"
        table.add_row(
            words, f"{bucket.lines:,}", f"{bucket.bleu:.2f}", f"{bucket.length_ratio:.3f}"
        )
    console.print(table)
