"""The commands `seq2seq classify` and `seq2seq tag`."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.machine import set_up_machine
from seq2seq.cli.options import output_option, with_model_options
from seq2seq.decoding.micro_batches import LINES_AHEAD
from seq2seq.errors import UserError
from seq2seq.text.conllu import WRITABLE_COLUMNS

if TYPE_CHECKING:
    from seq2seq.decoding.labeller import Labeller, Labelling
    from seq2seq.decoding.tagger import Tagger


def with_label_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the arguments and options that `classify` and `tag` share."""
    for option in (
        with_model_options,
        click.option(
            "--probabilities",
            is_flag=True,
            help="Write JSONL with the probabilities of all labels instead of plain text.",
        ),
        output_option("Write the labels to this file instead of stdout."),
        click.argument(
            "input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path)
        ),
        click.argument("model"),
    ):
        command = option(command)
    return command


@click.command()
@with_label_options
def classify_command(
    model: str, input_file: Path | None, output: Path | None, probabilities: bool, **machine: Any
) -> None:
    """Write the label that MODEL predicts for each line of the file INPUT, or of stdin.

    Each input line gives one output line. A blank input line gives an empty output line. If INPUT
    is a table, such as a .tsv or .csv file, the command reads the column that the model was trained
    on.
    """
    from seq2seq.decoding.classifier import Classifier
    from seq2seq.decoding.results import NoteLog

    with (
        line_io.open_source(input_file, Path(model)) as source,
        line_io.open_sink(output, [input_file]) as sink,
    ):
        classifier = Classifier.load(model, **_machine(model, **machine))
        with (
            line_io.show_line_progress("labelling", source, sink) as advance,
            NoteLog() as log,
        ):
            first = 1
            for window in line_io.read_windows(source, LINES_AHEAD):
                for labelling in classifier.stream(window, first=first):
                    log.add(labelling.notes)
                    line = _text(labelling)
                    if probabilities:
                        line = _json(next(iter(_rows(classifier, labelling)), None))
                    sink.write(line)
                    advance(1)
                first += len(window)
                sink.flush()


@click.command()
@with_label_options
@click.option(
    "--conllu",
    is_flag=True,
    help="Read and write CoNLL-U. The predicted tags go into the column that --column names.",
)
@click.option(
    "--column",
    type=click.Choice(WRITABLE_COLUMNS, case_sensitive=False),
    help="CoNLL-U column to write the predicted tags to.  [default: the column that the model was "
    "trained on, or upos]",
)
def tag_command(
    model: str,
    input_file: Path | None,
    output: Path | None,
    probabilities: bool,
    conllu: bool,
    column: str | None,
    **machine: Any,
) -> None:
    """Write the tag that MODEL predicts for each word of the file INPUT, or of stdin.

    White space separates the words of a line. The output line has one tag per word. If the name of
    INPUT ends in .conllu (or .conllu.gz, .xz, .bz2, .zst), the command works as with --conllu. If
    INPUT is another table, such as a .csv file, the command reads the column that the model was
    trained on.
    """
    from seq2seq.cli.table_input import conllu_columns
    from seq2seq.decoding.results import NoteLog
    from seq2seq.decoding.tagger import Tagger
    from seq2seq.text.tables import table_format

    conllu = conllu or (input_file is not None and table_format(input_file) == "conllu")
    if probabilities and conllu:
        raise UserError(
            "--probabilities: CoNLL-U has no column for probabilities; leave out this option"
        )
    if column is not None and not conllu:
        raise UserError(f"--column {column}: the output is not CoNLL-U; add --conllu")
    with (
        line_io.open_source(input_file, None if conllu else Path(model)) as source,
        line_io.open_sink(output, [input_file]) as sink,
    ):
        tagger = Tagger.load(model, **_machine(model, **machine))
        if conllu:
            name = "stdin" if input_file is None else str(input_file)
            form, learned = conllu_columns(Path(model))
            _tag_conllu(tagger, source, sink, name, form, column or learned)
            return
        with (
            line_io.show_line_progress("labelling", source, sink) as advance,
            NoteLog() as log,
        ):
            first = 1
            for window in line_io.read_windows(source, LINES_AHEAD):
                for labelling in tagger.stream(window, first=first):
                    log.add(labelling.notes)
                    row = _json(_rows(tagger, labelling)) if probabilities else _text(labelling)
                    sink.write(row)
                    advance(1)
                first += len(window)
                sink.flush()


def _tag_conllu(
    tagger: Tagger, source: IO[bytes], sink: IO[bytes], name: str, form: str, column: str
) -> None:
    """Read CoNLL-U from `source` and write it to `sink` with the predicted tags.

    name: The name of the source in error messages.
    form: The column with the words that the tagger reads.
    column: The column for the tags.
    """
    from seq2seq.decoding.results import NoteLog
    from seq2seq.progress import show_progress
    from seq2seq.text.conllu import read_conllu
    from seq2seq.text.lines import decode_lines

    waiting = read_conllu(decode_lines(source, name), name)
    # A program that writes into a pipe may wait for the tags of a sentence before the next one.
    size = LINES_AHEAD if line_io.is_regular_file(source) else 1
    first = 1
    with show_progress("labelling", wanted=not sink.isatty()) as advance, NoteLog() as log:
        while window := list(islice(waiting, size)):
            sentences = [sentence.column(form) for sentence in window]
            labellings = tagger.stream(sentences, first=first)
            first += len(window)
            for sentence, labelling in zip(window, labellings, strict=True):
                log.add(labelling.notes)
                sink.write(sentence.with_column(column, labelling.labels).encode())
                advance(1)
            sink.flush()


def _machine(model: str, threads: int, **options: Any) -> dict[str, Any]:
    """Set the number of threads. Return the other options unchanged, as arguments of `load`."""
    set_up_machine(model, threads)
    return options


def _text(labelling: Labelling) -> bytes:
    return " ".join(labelling.labels).encode() + b"\n"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"


def _rows(labeller: Labeller, labelling: Labelling) -> list[dict[str, object]]:
    """Return one dictionary per predicted label, with the probabilities of all labels."""
    return [
        {
            "label": label,
            "probabilities": dict(zip(labeller.names, map(float, values.round(6)), strict=True)),
        }
        for label, values in zip(labelling.labels, labelling.probabilities, strict=True)
    ]
