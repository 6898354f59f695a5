"""The commands `seq2seq translate` and `seq2seq score`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.jobs import choose_jobs, open_pool
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
from seq2seq.decoding.micro_batches import LINES_AHEAD, LINES_AHEAD_PER_JOB

if TYPE_CHECKING:
    from seq2seq.decoding.results import Translation
    from seq2seq.decoding.translator import Translator
    from seq2seq.decoding.worker_pool import WorkerPool


def open_translator(
    models: str, *, device: str, precision: str, threads: int, batch_size: int
) -> Translator:
    """Load a translator from a model folder, or from several for an ensemble.

    models: One model folder, or several separated by commas.
    """
    from seq2seq.decoding.translator import Translator

    set_up_machine(models, threads)
    folders = model_folders(models)
    return Translator.load(*folders, device=device, precision=precision, batch_size=batch_size)


@click.command()
@click.argument("model")
@click.argument("input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@output_option("Write the translations to this file instead of stdout.")
@with_source_options
@with_search_options
@click.option(
    "--n-best",
    type=int,
    default=1,
    show_default=True,
    help="Number of translations for each input line. If it is above 1, the output is JSONL, as "
    "with --scores. A line has fewer translations if the search finds no other texts.",
)
@click.option(
    "--scores",
    is_flag=True,
    help="Write one JSON object for each translation, with the keys line, rank, text and score, "
    "instead of plain text.",
)
@click.option(
    "--alignments",
    type=click.Path(path_type=Path),
    help="Write the alignment of each best translation to this file, one line per input line. A "
    ".jsonl file receives the attention weights between subwords. Any other file receives word "
    "pairs i-j: source word i is aligned with target word j, counted from 0.",
)
@click.option(
    "--jobs",
    type=click.IntRange(0),
    default=0,
    help="Number of processes that translate. More than one needs an exported model. 0 means one "
    "process per core if the input is a large file, and one process otherwise.  [default: 0]",
)
@with_model_options
def translate_command(
    model: str,
    input_file: Path | None,
    output: Path | None,
    n_best: int,
    scores: bool,
    alignments: Path | None,
    jobs: int,
    **options: Any,
) -> None:
    """Translate the lines of the file INPUT, or of stdin, with MODEL.

    MODEL is a model folder, or several folders A,B,C that translate as an ensemble. Each input line
    gives one output line, in the same order. The command writes a translation as soon as all
    earlier lines are translated. If INPUT is a table, such as a .tsv or .csv file, the command
    reads its source column. If the model reads features, a line is a source, a tab and its
    features.
    """
    from seq2seq.decoding.options import search_options
    from seq2seq.decoding.results import NoteLog
    from seq2seq.decoding.source_options import SourceOptions

    machine = {name: options.pop(name) for name in MODEL_OPTIONS}
    lines = SourceOptions(**{name: options.pop(name) for name in SOURCE_OPTIONS})
    search = search_options(n_best=n_best, **options)
    if alignments is not None:
        line_io.require_separate_file(alignments, "--alignments", output)
    soft = alignments is not None and alignments.suffix == ".jsonl"
    with ExitStack() as opened:
        source = opened.enter_context(line_io.open_source(input_file, model_folders(model)[0]))
        sink = opened.enter_context(line_io.open_sink(output, [input_file]))
        beside = alignments and opened.enter_context(line_io.open_sink(alignments, [input_file]))
        jobs = choose_jobs(model, source, jobs, machine["threads"])
        if jobs > 1:
            translator: Translator | WorkerPool = open_pool(model, jobs, **machine)
        else:
            translator = open_translator(model, **machine)
            if beside:
                translator.require_attention()
        windows = line_io.read_windows(source, LINES_AHEAD if jobs == 1 else LINES_AHEAD_PER_JOB)
        advance = opened.enter_context(line_io.show_line_progress("translating", source, sink))
        results = translator.translate_windows(
            windows, search, align=beside is not None, advance=advance, source=lines
        )
        log = opened.enter_context(NoteLog())
        for number, result in enumerate(results, start=1):
            log.add(result.notes)
            if beside:
                beside.write(_aligned(result.best.alignment, number, soft=soft))
            if scores or n_best > 1:
                sink.writelines(_scored(result.translations, number))
            else:
                sink.write(result.best.text.encode("utf-8", "replace") + b"\n")
            sink.flush()


def _scored(translations: Iterable[Translation], number: int) -> Iterator[bytes]:
    """Yield each translation of input line `number` as a line of JSON, best first."""
    for rank, translation in enumerate(translations, start=1):
        row = {"line": number, "rank": rank, "text": translation.text, "score": translation.score}
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _aligned(alignment: Any, number: int, *, soft: bool) -> bytes:
    """Return one line of the alignments file for input line `number`.

    With `soft`, the line is a JSON object with the attention weights. Otherwise, the line holds
    pairs i-j of word numbers.
    """
    if not soft:
        return f"{alignment.pharaoh()}\n".encode()
    row = {
        "line": number,
        "source": alignment.source.pieces,
        "target": alignment.target.pieces,
        "weights": [[round(weight, 6) for weight in row] for row in alignment.weights.tolist()],
    }
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


@click.command()
@click.argument("model")
@click.argument("source_file", metavar="SOURCE", type=click.Path(path_type=Path))
@click.argument("target_file", metavar="TARGET", type=click.Path(path_type=Path))
@output_option("Write the scores to this file instead of stdout.")
@click.option(
    "--length-penalty",
    type=float,
    default=0.0,
    show_default=True,
    help="Length penalty: the exponent α in the score Σ log p / length^α. With 0, the score is the "
    "log-probability.",
)
@with_model_options
def score_command(
    model: str,
    source_file: Path,
    target_file: Path,
    output: Path | None,
    length_penalty: float,
    **machine: Any,
) -> None:
    """Write the log-probability (in nats) of each line of TARGET, given the same line of SOURCE.

    `seq2seq translate --scores` gives a translation the same score if its --length-penalty is the
    same. If the model reads features, a line of SOURCE is a source, a tab and its features. The
    scores differ in two cases. `seq2seq translate` splits very long source lines into parts, but
    this command does not. And a transducer can write the same output in several ways, of which
    this command scores the one that is most likely under the alignment model. A blank line as the
    translation of a blank line has the score 0, because `seq2seq translate` always translates it
    so.
    """
    from seq2seq.decoding.options import GreedyOptions
    from seq2seq.progress import show_progress

    GreedyOptions(length_penalty=length_penalty)  # refuse a wrong value before loading the model
    sources, targets = line_io.read_parallel_lines(source_file, target_file)
    with line_io.open_sink(output, [source_file, target_file]) as sink:
        translator = open_translator(model, **machine)
        with show_progress("scoring", len(sources), wanted=not sink.isatty()) as advance:
            scored = translator.score(sources, targets, length_penalty, advance=advance)
        for translation in scored:
            sink.write(f"{translation.score:.6f}\n".encode())
