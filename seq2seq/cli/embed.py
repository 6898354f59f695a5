"""The command `seq2seq embed`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import click
import numpy as np

from seq2seq.cli import line_io
from seq2seq.cli.machine import set_up_machine
from seq2seq.cli.options import output_option, with_model_options
from seq2seq.decoding.micro_batches import LINES_AHEAD
from seq2seq.errors import UserError

_HEADER = 128  # bytes of the header of a .npy file


@click.command()
@click.argument("model")
@click.argument("input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@output_option(
    "Write the vectors to this file instead of stdout: an array [lines, size] in float32 if "
    "the name ends in .npy, and JSONL if it ends in .jsonl."
)
@click.option(
    "--pooling",
    type=click.Choice(["summary", "mean"]),
    default="summary",
    show_default=True,
    help="Vector that represents a line. summary: the encoder's summary of the line. mean: the "
    "mean of the encoder states. A tagger always uses the mean.",
)
@with_model_options
def embed_command(
    model: str,
    input_file: Path | None,
    output: Path | None,
    pooling: Any,
    threads: int,
    **machine: Any,
) -> None:
    """Write the encoder vector of each line of INPUT, or of stdin, as a line of JSON.

    Each input line gives one vector, a list of numbers. A blank line gives a vector of zeros. The
    vector of a line does not depend on the other lines. If INPUT is a table, such as a .csv file,
    the command reads the column that the model was trained on. MODEL is a translator, a classifier,
    a tagger or a generator, which reads labels or vectors.
    """
    from seq2seq.decoding.generator import Generator
    from seq2seq.decoding.language_model import LanguageModel
    from seq2seq.decoding.load import load

    binary = output is not None and output.suffix == ".npy"
    if output is not None and str(output) != "-" and output.suffix not in (".npy", ".jsonl"):
        raise UserError(f"-o {output}: the name must end in .npy or .jsonl")
    if binary and output is not None and output.exists() and not output.is_file():
        raise UserError(
            f"-o {output}: the .npy format needs a regular file; choose a name that ends in .jsonl"
        )
    set_up_machine(model, threads)
    with ExitStack() as opened:
        source = opened.enter_context(line_io.open_source(input_file, Path(model)))
        sink = opened.enter_context(line_io.open_sink(output, [input_file]))
        loaded = load(model, **machine)
        if isinstance(loaded, LanguageModel):
            raise UserError(
                f"{model} is a language model, which has no encoder; name a translator, a "
                "classifier, a tagger or a generator"
            )
        embedder = loaded.translator if isinstance(loaded, Generator) else loaded

        def vectors() -> Iterator[np.ndarray]:
            with line_io.show_line_progress("embedding", source, sink) as advance:
                for window in line_io.read_windows(source, LINES_AHEAD):
                    yield embedder.embed(window, pooling)
                    advance(len(window))

        if binary:
            _write_npy(sink, vectors(), embedder.embed([], pooling).shape[1])
        else:
            _write_jsonl(sink, vectors())


def _write_jsonl(sink: IO[bytes], windows: Iterator[np.ndarray]) -> None:
    for vectors in windows:
        for row in vectors.tolist():
            sink.write(json.dumps([round(value, 6) for value in row]).encode() + b"\n")
        sink.flush()


def _write_npy(sink: IO[bytes], windows: Iterator[np.ndarray], size: int) -> None:
    """Write the vectors as a .npy file of float32, without keeping all of them in memory.

    The header contains the number of vectors, which is known only at the end. The header is
    therefore written twice: first as a placeholder, and again at the end.
    """
    sink.write(_npy_header(0, size))
    rows = 0
    for vectors in windows:
        sink.write(vectors.astype("<f4", copy=False).tobytes())
        rows += len(vectors)
    sink.seek(0)
    sink.write(_npy_header(rows, size))


def _npy_header(rows: int, size: int) -> bytes:
    """Return the .npy header of a float32 array [rows, size], padded to a fixed length."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {size}), }}"
    start = b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(_HEADER - 11).encode() + b"\n"
