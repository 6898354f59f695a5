"""seq2seq perplexity, seq2seq generate"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from seq2seq.cli import streams
from seq2seq.cli.options import device_options


@click.command()
@click.argument("model")
@click.argument("text_file", metavar="[TEXT]", required=False, type=click.Path(path_type=Path))
@device_options
def perplexity(
    model: str, text_file: Path | None, device: str, precision: str, threads: int
) -> None:
    """Say how well MODEL, a language model, foretells TEXT (stdin).

    Over the whole of it, the state carried from line to line; the ends of lines count as tokens
    where the model has learned them.
    """
    from seq2seq import runtime
    from seq2seq.evaluation.perplexity import perplexity_of_lines
    from seq2seq.models import folder
    from seq2seq.text.lines import read_lines

    runtime.threads(threads)
    loaded = folder.load(Path(model), "language-model")
    chosen = runtime.device(device)
    name = "stdin" if text_file is None else str(text_file)
    with streams.source(text_file) as source:
        found = perplexity_of_lines(
            loaded,
            read_lines(source, name),
            chosen,
            runtime.precision(precision, chosen),
            name,
        )
    click.echo(
        f"perplexity {found.value:.3f}   {found.loss:.4f} nats a token, {found.tokens:,} tokens"
    )


@click.command()
@click.argument("model")
@click.option("--prompt", help="What the text begins with  [default: nothing]")
@click.option("--length", type=int, default=200, show_default=True, help="Tokens to write.")
@click.option("--temperature", type=float, default=1.0, show_default=True)
@click.option("--top-k", type=int, default=0, help="Draw from the k likeliest alone; 1: no chance.")
@click.option("--top-p", type=float, default=1.0, help="Draw from this mass alone.")
@click.option("--seed", type=int, default=1, show_default=True)
@device_options
def generate(
    model: str, prompt: str | None, device: str, precision: str, threads: int, **sampling: Any
) -> None:
    """Have MODEL, a language model, write on from a prompt; the text is shown as it comes."""
    from seq2seq import runtime
    from seq2seq.decoding.generator import Generator, Sampling

    chosen = Sampling(**sampling)
    runtime.threads(threads)
    generator = Generator.load(model, device=device, precision=precision)
    text = generator.generate(prompt, chosen)
    first = next(text)  # a mistake in the prompt is told before anything is written
    click.echo((prompt or "") + first, nl=False)
    for piece in text:
        click.echo(piece, nl=False)
        sys.stdout.flush()
    click.echo()
