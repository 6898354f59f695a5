"""seq2seq evaluate, seq2seq results"""

from __future__ import annotations

import itertools
import json
import random
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import streams
from seq2seq.cli.options import model_options
from seq2seq.cli.translate import open_translator, search_options
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
    """Score MODEL on a test set.

    A translator: BLEU and chrF of its translations of SOURCE, and BLEU by source length. A language
    model: the perplexity of SOURCE. A classifier or tagger: accuracy and macro F1 against the labels
    of REFERENCE, and what was taken for what (--plot). One that writes what is given, or as many
    words as its source has: the perplexity of REFERENCE, also with the sources shuffled.
    """
    from seq2seq.evaluation import plots
    from seq2seq.evaluation.results import append_row, refuse_dirty
    from seq2seq.models.folder import load_config

    if record is not None:  # before the work, so that it is not done for nothing
        refuse_dirty(record, record.resolve().parent)
    files, machine = [source_file, target_file], (device, precision, threads)
    config = load_config(_first(model))
    pictured = output is not None or plot is not None
    if config.shape in ("classification", "tagging"):
        done = _labelled(model, files, split, output, plot, machine)
    elif config.shape == "translation" and config.context.kind != "aligned":
        done = _translated(model, files, split, output, machine, search)
        if plot is not None:
            plots.plot_lengths({Path(model).parent.name or model: done.by_length}, plot)
    elif pictured or "," in model:
        raise UserError(f"{model} is scored by perplexity: one model, and no -o or --plot")
    elif config.shape == "language-model":
        if target_file is not None:
            raise UserError(f"{model} is a language model: give it one text, not {target_file} too")
        done = _foretold(model, source_file, split, machine)
    else:
        done = _written(model, files, split, machine)
    if as_json:
        click.echo(json.dumps(asdict(done)))
    else:
        _print(done)
    row = _row(model, done, command or shlex.join(["seq2seq", *sys.argv[1:]]))
    run = _run_of(model)
    if (run / "metrics.jsonl").exists():
        append_row(run / "results.jsonl", row, require_clean=None)
    if record is not None:
        append_row(record, row, require_clean=record.resolve().parent)


@dataclass(frozen=True)
class _Done:
    """What an evaluation found; lines: of the set; decoding: the settings of the search."""

    set: str
    lines: int
    seconds: float
    scores: list[Any]
    by_length: list[Any]
    parameters: int
    decoding: dict[str, Any]


def _translated(
    model: str,
    files: list[Path | None],
    split: str,
    output: Path | None,
    machine: tuple[str, str, int],
    search: dict[str, Any],
) -> _Done:
    from seq2seq.decoding.translator import Search
    from seq2seq.evaluation import lengths, scores

    chosen = Search(**search)
    translator = open_translator(model, *machine)
    sources, references, name = _pairs(model, files[0], files[1], split)
    start = time.perf_counter()
    hypotheses = [ranked[0].text for ranked in translator.window(sources, chosen)]
    seconds = time.perf_counter() - start
    if output is not None:
        with streams.sink(output, files) as sink:
            sink.writelines(line.encode("utf-8", "replace") + b"\n" for line in hypotheses)
    return _Done(
        name,
        len(sources),
        seconds,
        scores.corpus_scores(hypotheses, references, lowercase=translator.lowercase),
        lengths.by_length(sources, hypotheses, references),
        translator.parameters,
        {"beam": chosen.beam, "length_penalty": chosen.length_penalty},
    )


def _foretold(
    model: str, text_file: Path | None, split: Any, machine: tuple[str, str, int]
) -> _Done:
    from seq2seq import runtime
    from seq2seq.evaluation.perplexity import perplexity_of_lines
    from seq2seq.evaluation.scores import Score
    from seq2seq.models import folder
    from seq2seq.text.corpus import read_pairs

    device, precision, threads = machine
    runtime.threads(threads)
    loaded = folder.load(Path(model), "language-model")
    if text_file is None:
        lines = [line for _, line in read_pairs(loaded.config.data, split)]
        name = _name_of(loaded.config.data, split)
    else:
        lines, name = streams.read_all(text_file), text_file.stem
    chosen = runtime.device(device)
    start = time.perf_counter()
    found = perplexity_of_lines(loaded, lines, chosen, runtime.precision(precision, chosen), name)
    return _Done(
        name,
        len(lines),
        time.perf_counter() - start,
        [Score("perplexity", found.value, f"{found.tokens:,} tokens, state carried")],
        [],
        sum(parameter.numel() for parameter in loaded.network.parameters()),
        {},
    )


def _written(
    model: str, files: list[Path | None], split: str, machine: tuple[str, str, int]
) -> _Done:
    from seq2seq import runtime
    from seq2seq.evaluation.perplexity import perplexity_of_pairs
    from seq2seq.evaluation.scores import Score
    from seq2seq.models import folder

    device, precision, threads = machine
    runtime.threads(threads)
    loaded, chosen = folder.load(Path(model)), runtime.device(device)
    dtype = runtime.precision(precision, chosen)
    sources, targets, name = _pairs(model, files[0], files[1], split)
    shuffled = list(sources)
    random.Random(1).shuffle(shuffled)
    start = time.perf_counter()
    true, other = (
        perplexity_of_pairs(loaded, zip(given, targets, strict=True), chosen, dtype)
        for given in (sources, shuffled)
    )
    return _Done(
        name,
        len(targets),
        time.perf_counter() - start,
        [
            Score("perplexity", true.value, f"{true.tokens:,} tokens"),
            Score("perplexity, sources shuffled", other.value, f"{other.tokens:,} tokens"),
        ],
        [],
        sum(parameter.numel() for parameter in loaded.network.parameters()),
        {},
    )


def _labelled(
    model: str,
    files: list[Path | None],
    split: str,
    output: Path | None,
    plot: Path | None,
    machine: tuple[str, str, int],
) -> _Done:
    from seq2seq import runtime
    from seq2seq.decoding.labeller import Labeller
    from seq2seq.evaluation.labels import confusion, label_scores
    from seq2seq.evaluation.plots import plot_confusion
    from seq2seq.models import folder

    device, precision, threads = machine
    runtime.threads(threads)
    loaded = folder.load(Path(model))
    labeller = Labeller(loaded, device=device, precision=precision)
    texts, references, name = _pairs(model, files[0], files[1], split)
    start = time.perf_counter()
    found = [one.labels for one in labeller.stream(texts)]
    seconds = time.perf_counter() - start
    wanted = [line.split(" ") for line in references]
    for number, (one, other) in enumerate(zip(found, wanted, strict=True), start=1):
        if len(one) != len(other):
            raise UserError(
                f"{name}, row {number}: {len(other)} labels where {len(one)} are to be told"
            )
    if output is not None:
        with streams.sink(output, files) as sink:
            sink.writelines(" ".join(labels).encode() + b"\n" for labels in found)
    flat = [[label for row in rows for label in row] for rows in (wanted, found)]
    names = sorted({*labeller.names, *flat[0]})  # a label that training had not is never found
    counts = confusion(flat[0], flat[1], names)
    if plot is not None:
        plot_confusion(counts, names, plot)
    scores = label_scores(counts)
    if loaded.config.shape == "tagging":
        scores += _of_unknown_words(loaded.config, texts, wanted, found)
    return _Done(
        name,
        len(texts),
        seconds,
        scores,
        [],
        sum(parameter.numel() for parameter in loaded.network.parameters()),
        {},
    )


def _of_unknown_words(
    config: Any, texts: list[str], wanted: list[list[str]], found: list[list[str]]
) -> list[Any]:
    """Accuracy over the words that the training text does not hold."""
    from seq2seq.evaluation.scores import Score
    from seq2seq.text.corpus import read_pairs

    known = {word for text, _ in read_pairs(config.data, "train") for word in text.split(" ")}
    words = [word for text in texts for word in text.split(" ")]
    labels = zip(itertools.chain(*wanted), itertools.chain(*found), strict=True)
    right = [
        one == other for word, (one, other) in zip(words, labels, strict=True) if word not in known
    ]
    if not right:
        return []
    return [
        Score("accuracy, unknown words", 100 * sum(right) / len(right), f"{len(right):,} words")
    ]


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

    data = load_config(_first(model)).data
    pairs = list(read_pairs(data, split))
    return [source for source, _ in pairs], [target for _, target in pairs], _name_of(data, split)


def _name_of(data: Any, split: str) -> str:
    """What a split of the configuration is called."""
    named = getattr(data, split)
    return Path(named).name if isinstance(named, str) else split


def _first(model: str) -> Path:
    """The folder of the first model of an ensemble."""
    return Path(model.split(",")[0])


def _run_of(model: str) -> Path:
    """The run folder that a model lies in."""
    return _first(model).resolve().parent


def _row(model: str, done: _Done, command: str) -> dict[str, Any]:
    """The row of results.jsonl; a run's folder is named <recipe>/<variant>."""
    from seq2seq.evaluation.results import make_row
    from seq2seq.models.folder import load_config

    run = _run_of(model)
    return make_row(
        recipe=run.parent.name,
        variant=run.name,
        seed=load_config(_first(model)).seed,
        split=done.set,
        decoding=done.decoding,
        scores=done.scores,
        parameters=done.parameters,
        training_minutes=_minutes(run / "metrics.jsonl"),
        seconds=done.seconds,
        lines=done.lines,
        command=command,
    )


def _minutes(metrics: Path) -> float | None:
    """How long the run was trained, by its log."""
    from seq2seq.files import read_objects

    if not metrics.exists():
        return None
    rows = read_objects(metrics, growing=True)
    return float(rows[-1][1]["minutes"]) if rows else None


def _print(done: _Done) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    speed = f"{done.lines / done.seconds:,.0f} lines a second"
    console.print(f"{done.set}: {done.lines:,} lines, {speed}")
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
