"""seq2seq translate, seq2seq score"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.options import (
    MODEL_OPTIONS,
    model_folders,
    set_up_machine,
    with_model_options,
    with_search_options,
)

if TYPE_CHECKING:
    from seq2seq.decoding.results import Translation
    from seq2seq.decoding.translator import Translator

_WINDOW = 2048  # lines that are read ahead and sorted by length together


def open_translator(
    models: str, *, device: str, precision: str, threads: int, batch_size: int
) -> Translator:
    """The model folder of that name, or several named with commas between them as an ensemble."""
    from seq2seq.decoding.translator import Translator

    set_up_machine(models, threads)
    folders = model_folders(models)
    return Translator.load(*folders, device=device, precision=precision, batch_size=batch_size)


@click.command()
@click.argument("model")
@click.argument("input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file  [default: stdout]")
@with_search_options
@click.option("--n-best", type=int, default=1, show_default=True, help="Write JSONL, n a line.")
@click.option("--scores", is_flag=True, help="Write JSONL: line, rank, text, score.")
@click.option(
    "--alignments",
    type=click.Path(path_type=Path),
    help="Write what the best translation of each line looked at: a .jsonl file gets the weights "
    "between pieces, any other one i-j (source word, target word, from 0), a line for a line.",
)
@with_model_options
def translate_command(
    model: str,
    input_file: Path | None,
    output: Path | None,
    n_best: int,
    scores: bool,
    alignments: Path | None,
    **options: Any,
) -> None:
    """Translate INPUT (stdin) line by line with MODEL, a model folder, or several: A,B,C.

    One line out for every line in, in order. A line leaves as soon as all before it are done.
    """
    from seq2seq.decoding.options import search_options
    from seq2seq.decoding.results import log_notes

    machine = {name: options.pop(name) for name in MODEL_OPTIONS}
    search = search_options(n_best=n_best, **options)
    if alignments is not None:
        line_io.require_separate_file(alignments, "--alignments", output)
    soft = alignments is not None and alignments.suffix == ".jsonl"
    with ExitStack() as opened:
        source = opened.enter_context(line_io.open_source(input_file))
        sink = opened.enter_context(line_io.open_sink(output, [input_file]))
        beside = alignments and opened.enter_context(line_io.open_sink(alignments, [input_file]))
        translator = open_translator(model, **machine)
        if beside:
            translator.require_attention()
        windows = line_io.read_windows(source, _WINDOW)
        advance = opened.enter_context(line_io.show_line_progress("translating", source, sink))
        results = translator.translate_windows(
            windows, search, align=beside is not None, advance=advance
        )
        for number, result in enumerate(results, start=1):
            log_notes(result.notes)
            if beside:
                beside.write(_aligned(result.best.alignment, number, soft=soft))
            if scores or n_best > 1:
                sink.writelines(_scored(result.translations, number))
            else:
                sink.write(result.best.text.encode("utf-8", "replace") + b"\n")
            sink.flush()


def _scored(translations: Iterable[Translation], number: int) -> Iterator[bytes]:
    """The translations of line `number` as lines of JSONL."""
    for rank, translation in enumerate(translations, start=1):
        row = {"line": number, "rank": rank, "text": translation.text, "score": translation.score}
        yield json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _aligned(alignment: Any, number: int, *, soft: bool) -> bytes:
    """A line of the file of alignments."""
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
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file  [default: stdout]")
@click.option(
    "--length-penalty",
    type=float,
    default=0.0,
    show_default=True,
    help="α of score = Σ log p / length^α; 0 is the plain log-probability.",
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
    """Write the log-probability (nats) of each line of TARGET, given that of SOURCE.

    It is what a search that found TARGET would say of it; a source that a search would translate in
    parts is taken whole.
    """
    from seq2seq.decoding.options import GreedyOptions

    GreedyOptions(length_penalty=length_penalty)  # refused before the work
    sources, targets = line_io.read_parallel_lines(source_file, target_file)
    with line_io.open_sink(output, [source_file, target_file]) as sink:
        translator = open_translator(model, **machine)
        for translation in translator.score(sources, targets, length_penalty):
            sink.write(f"{translation.score:.6f}\n".encode())
