"""seq2seq perplexity, seq2seq generate"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.options import set_up_machine, with_device_options
from seq2seq.errors import UserError


@click.command()
@click.argument("model")
@click.argument("text_file", metavar="[TEXT]", required=False, type=click.Path(path_type=Path))
@with_device_options
def perplexity_command(
    model: str, text_file: Path | None, device: str, precision: str, threads: int
) -> None:
    """Say how well MODEL, a language model, foretells TEXT (stdin).

    Over the whole of it, the state carried from line to line; the ends of lines count as tokens
    where the model has learned them.
    """
    from seq2seq.decoding.language_model import LanguageModel
    from seq2seq.text.lines import decode_lines

    set_up_machine(model, threads)
    loaded = LanguageModel.load(model, device=device, precision=precision)
    name = "stdin" if text_file is None else str(text_file)
    with line_io.open_source(text_file) as source:
        result = loaded.measure(decode_lines(source, name), name)
    click.echo(
        f"perplexity {result.value:.3f}   {result.loss:.4f} nats a token, {result.tokens:,} tokens"
    )


@click.command()
@click.argument("model")
@click.option("--prompt", help="A language model: what the text begins with.")
@click.option(
    "--given",
    help="Task generation: what to write for, a label or a vector on the scale of the training "
    "text. A colour (#1e90ff) is red, green and blue from 0 to 1.",
)
@click.option("--length", type=int, default=200, show_default=True, help="At most so many tokens.")
@click.option("--number", type=click.IntRange(1), default=1, help="--given: how many to write.")
@click.option("--temperature", type=float, default=1.0, show_default=True)
@click.option("--top-k", type=int, default=0, help="Draw from the k likeliest alone; 1: no chance.")
@click.option("--top-p", type=float, default=1.0, help="Draw from this mass alone.")
@click.option("--seed", type=int, default=1, show_default=True)
@with_device_options
def generate_command(
    model: str,
    prompt: str | None,
    given: str | None,
    number: int,
    length: int,
    device: str,
    precision: str,
    threads: int,
    **sampling: Any,
) -> None:
    """Have MODEL write.

    A language model writes on from a prompt, or from nothing, and the text is shown as it comes. A
    model of task generation writes what fits the label or the vector that is given.
    """
    from seq2seq.decoding.generator import Generator
    from seq2seq.decoding.language_model import LanguageModel
    from seq2seq.decoding.load import load_any_config
    from seq2seq.decoding.options import SamplingOptions

    options = SamplingOptions(n_best=number, max_length=length, **sampling)
    set_up_machine(model, threads)
    if load_any_config(Path(model)).task.source == "condition":
        if prompt is not None:
            raise UserError(f"{model} writes for a label or a vector: --prompt is not for it")
        if given is None:
            raise UserError(f"{model} writes for a label or a vector: name it with --given")
        generator = Generator.load(model, device=device, precision=precision)
        for line in generator.generate(given, options=options):
            click.echo(line)
        return
    writer = LanguageModel.load(model, device=device, precision=precision)
    for option, is_set in (("--given", given is not None), ("--number", number != 1)):
        if is_set:
            raise UserError(
                f"{option}: {model} is a language model, which writes one text on from a --prompt"
            )
    text = writer.stream(prompt, options)
    first = next(text)  # a mistake in the prompt is told before anything is written
    click.echo((prompt or "") + first, nl=False)
    for piece in text:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()
