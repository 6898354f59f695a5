"""The commands `seq2seq perplexity` and `seq2seq generate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.machine import set_up_machine
from seq2seq.cli.options import with_device_options, with_text_constraints
from seq2seq.errors import UserError


@click.command()
@click.argument("model")
@click.argument("text_file", metavar="[TEXT]", required=False, type=click.Path(path_type=Path))
@with_device_options
def perplexity_command(
    model: str, text_file: Path | None, device: str, precision: str, threads: int
) -> None:
    """Print the perplexity of the language model MODEL on the file TEXT, or on stdin.

    The model reads all lines as one continuous text and keeps its state from line to line. The end
    of a line counts as a token if the model was trained with line ends (data.line_ends). If TEXT is
    a table, such as a .csv file, the command reads its text column. If the vocabulary lacks some
    words or characters of the text, a second line shows the share of these unknown tokens and the
    perplexity without them.
    """
    from seq2seq.decoding.language_model import LanguageModel
    from seq2seq.text.lines import decode_lines

    set_up_machine(model, threads)
    loaded = LanguageModel.load(model, device=device, precision=precision)
    name = "stdin" if text_file is None else str(text_file)
    with line_io.open_source(text_file, Path(model)) as source:
        result = loaded.measure(decode_lines(source, name), name)
    click.echo(
        f"perplexity {result.value:.3f}   {result.loss:.4f} nats a token, {result.tokens:,} tokens"
    )
    if result.unknown:
        click.echo(result.describe_unknown())


@click.command()
@click.argument("model")
@click.option("--prompt", help="Start of a text, which a language model continues.")
@click.option(
    "--given",
    help='Label or vector to generate text for. Write a vector as numbers ("0.5 -1 2") on the '
    "scale of the training data. A colour such as #1e90ff is read as three numbers from 0 to 1: "
    "red, green and blue.",
)
@click.option(
    "--length",
    type=int,
    default=200,
    show_default=True,
    help="Maximum length of the generated text in tokens.",
)
@click.option(
    "--number",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of texts to generate for the label or vector of --given.",
)
@click.option(
    "--temperature",
    type=float,
    default=1.0,
    show_default=True,
    help="Sampling temperature. A value below 1 makes likely tokens even likelier.",
)
@click.option(
    "--top-k",
    type=int,
    default=0,
    help="Sample each token from the K most likely tokens. 1 always chooses the most likely token. "
    "0 keeps all tokens.  [default: 0]",
)
@click.option(
    "--top-p",
    type=float,
    default=1.0,
    help="Sample each token from the smallest set of most likely tokens whose probabilities add up "
    "to at least this value. 1 keeps all tokens.  [default: 1]",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Random seed of the sampling.")
@with_text_constraints
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
    """Generate text with MODEL.

    A language model continues the text of --prompt. Without --prompt, the model starts a new text.
    A model of the task "generation" writes texts for the label or vector of --given.
    """
    from seq2seq.decoding.generator import Generator
    from seq2seq.decoding.language_model import LanguageModel
    from seq2seq.decoding.load import load_any_config
    from seq2seq.decoding.options import SamplingOptions
    from seq2seq.decoding.prompt import prompt_lines

    options = SamplingOptions(n_best=number, max_length=length, **sampling)
    set_up_machine(model, threads)
    if load_any_config(Path(model)).task.source == "condition":
        if prompt is not None:
            raise UserError(
                f"--prompt: {model} generates text for a label or a vector, not from a prompt; use "
                "--given instead"
            )
        if given is None:
            raise UserError(
                f"{model} generates text for a label or a vector; "
                "pass the label or the vector with --given"
            )
        generator = Generator.load(model, device=device, precision=precision)
        for line in generator.generate(given, options=options):
            click.echo(line)
        return
    writer = LanguageModel.load(model, device=device, precision=precision)
    for option, is_set in (("--given", given is not None), ("--number", number != 1)):
        if is_set:
            raise UserError(
                f"{option}: {model} is a language model, which takes only a --prompt; leave out "
                f"{option}"
            )
    text = writer.stream(prompt, options)
    first = next(text)  # raises an error in the prompt before anything is printed
    click.echo("\n".join(prompt_lines(prompt or "")) + first, nl=False)
    for piece in text:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()
