"""seq2seq classify, seq2seq tag"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import streams
from seq2seq.cli.options import model_options

_WINDOW = 2048  # texts that are read ahead and sorted by length together


def label_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What both commands take."""
    for option in (
        model_options,
        click.option("--probabilities", is_flag=True, help="Write JSONL, with those of all."),
        click.option(
            "-o", "--output", type=click.Path(path_type=Path), help="A file  [default: stdout]"
        ),
        click.argument(
            "input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path)
        ),
        click.argument("model"),
    ):
        command = option(command)
    return command


@click.command()
@label_options
def classify(
    model: str, input_file: Path | None, output: Path | None, probabilities: bool, **machine: Any
) -> None:
    """Write the label of each line of INPUT (stdin), as MODEL, a classifier, sees it.

    One line out for every line in; a blank line gets an empty one.
    """
    with streams.source(input_file) as source, streams.sink(output, [input_file]) as sink:
        labeller = _opened(model, "classification", **machine)
        for window in streams.windows(source, _WINDOW):
            for found in labeller.stream(window):
                if probabilities:
                    sink.write(_row(labeller.names, found, each=False))
                else:
                    sink.write("".join(found.labels).encode() + b"\n")
            sink.flush()


@click.command()
@label_options
@click.option("--conllu", is_flag=True, help="CoNLL-U in, and out with the tags as UPOS.")
def tag(
    model: str,
    input_file: Path | None,
    output: Path | None,
    probabilities: bool,
    conllu: bool,
    **machine: Any,
) -> None:
    """Write the tag of each word of each line of INPUT (stdin), as MODEL, a tagger, sees it.

    Words are what stands between spaces. A file that ends in .conllu is CoNLL-U, and so is what is
    written then.
    """
    with streams.source(input_file) as source, streams.sink(output, [input_file]) as sink:
        labeller = _opened(model, "tagging", **machine)
        if conllu or (input_file is not None and input_file.suffix == ".conllu"):
            from seq2seq.text.conllu import sentences
            from seq2seq.text.lines import read_lines

            name = "stdin" if input_file is None else str(input_file)
            for sentence in sentences(read_lines(source, name), name):
                (found,) = labeller.stream([" ".join(sentence.column("form"))])
                sink.write(sentence.with_column("upos", found.labels).encode())
            return
        for window in streams.windows(source, _WINDOW):
            texts = [" ".join(line.split()) for line in window]
            for found in labeller.stream(texts):
                if probabilities:
                    sink.write(_row(labeller.names, found, each=True))
                else:
                    sink.write(" ".join(found.labels).encode() + b"\n")
            sink.flush()


def _opened(
    model: str, shape: Any, device: str, precision: str, threads: int, batch_size: int
) -> Any:
    from seq2seq import runtime
    from seq2seq.decoding.labeller import Labeller

    runtime.threads(threads)
    return Labeller.load(model, shape, device=device, precision=precision, batch_size=batch_size)


def _row(names: list[str], found: Any, *, each: bool) -> bytes:
    """A row of JSONL: of a text, or a list of one for each of its words."""
    rows = [
        {
            "label": label,
            "probabilities": dict(zip(names, map(float, values.round(6)), strict=True)),
        }
        for label, values in zip(found.labels, found.probabilities, strict=True)
    ]
    value = rows if each else (rows[0] if rows else None)
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
