"""seq2seq translate, seq2seq score"""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.options import model_folders, model_options, search_options

_WINDOW = 2048  # lines that are read ahead and sorted by length together


def open_translator(models: str, device: str, precision: str, threads: int) -> Any:
    """A Translator of one model folder, or of several named with commas between them."""
    from seq2seq import runtime
    from seq2seq.decoding.translator import Translator

    runtime.keep_freed_memory()
    runtime.set_threads(threads)
    return Translator.load(*model_folders(models), device=device, precision=precision)


@click.command()
@click.argument("model")
@click.argument("input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file  [default: stdout]")
@search_options
@click.option("--n-best", type=int, default=1, show_default=True, help="Write JSONL, n a line.")
@click.option("--scores", is_flag=True, help="Write JSONL: line, rank, text, score.")
@click.option(
    "--alignments",
    type=click.Path(path_type=Path),
    help="Write what the best translation of each line looked at: a .jsonl file gets the weights "
    "between pieces, any other one i-j (source word, target word, from 0), a line for a line.",
)
@model_options
def translate_command(
    model: str,
    input_file: Path | None,
    output: Path | None,
    n_best: int,
    scores: bool,
    alignments: Path | None,
    device: str,
    precision: str,
    threads: int,
    **search: Any,
) -> None:
    """Translate INPUT (stdin) line by line with MODEL, a model folder, or several: A,B,C.

    One line out for every line in, in order. A line leaves as soon as all before it are done.
    """
    from seq2seq.decoding.searcher import Search

    chosen = Search(n_best=n_best, **search)
    if alignments is not None:
        line_io.require_separate_file(alignments, "--alignments", output)
    soft = alignments is not None and alignments.suffix == ".jsonl"
    with ExitStack() as opened:
        source = opened.enter_context(line_io.open_source(input_file))
        sink = opened.enter_context(line_io.open_sink(output, [input_file]))
        beside = alignments and opened.enter_context(line_io.open_sink(alignments, [input_file]))
        translator = open_translator(model, device, precision, threads)
        if beside:
            translator.require_attention()
        number = 0
        for window in line_io.read_windows(source, _WINDOW):
            found = translator.window(window, chosen, number + 1, align=beside is not None)
            for ranked in found:
                number += 1
                if beside:
                    beside.write(_aligned(ranked[0].alignment, number, soft=soft))
                if scores or n_best > 1:
                    for rank, one in enumerate(ranked, start=1):
                        row = {"line": number, "rank": rank, "text": one.text, "score": one.score}
                        sink.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
                else:
                    sink.write(ranked[0].text.encode("utf-8", "replace") + b"\n")
                sink.flush()


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
@model_options
def score_command(
    model: str,
    source_file: Path,
    target_file: Path,
    output: Path | None,
    device: str,
    precision: str,
    threads: int,
    **search: Any,
) -> None:
    """Write the log-probability (nats) of each line of TARGET, given that of SOURCE.

    It is what a search that found TARGET would say of it; a source that a search would translate in
    parts is taken whole.
    """
    from seq2seq.decoding.searcher import Search

    chosen = Search(**search)
    sources, targets = line_io.read_parallel_lines(source_file, target_file)
    with line_io.open_sink(output, [source_file, target_file]) as sink:
        translator = open_translator(model, device, precision, threads)
        for one in translator.score(sources, targets, chosen):
            sink.write(f"{one.score:.6f}\n".encode())
