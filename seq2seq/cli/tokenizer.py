"""The commands `seq2seq tokenizer train`, `encode` and `decode`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from seq2seq.cli import line_io
from seq2seq.cli.options import output_option
from seq2seq.decoding.micro_batches import LINES_AHEAD
from seq2seq.errors import UserError

if TYPE_CHECKING:
    from seq2seq.text.tokenizer import Tokenizer


@click.group()
def tokenizer_group() -> None:
    """Train a subword tokenizer, or encode or decode text with a tokenizer."""


@tokenizer_group.command("train")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@output_option("Write the tokenizer to this file.", required=True)
@click.option(
    "--kind",
    type=click.Choice(["unigram", "bpe", "char", "word", "symbols"]),
    default="unigram",
    show_default=True,
    help="Kind of tokenizer: unigram or BPE subwords, characters, words, or symbols with a "
    "separator between them.",
)
@click.option(
    "--separator",
    default=" ",
    help="With --kind symbols: the string between two symbols.  [default: a space]",
)
@click.option(
    "--unit",
    type=click.Choice(["code point", "grapheme"]),
    default="code point",
    show_default=True,
    help="With --kind char: the unit of text, a Unicode code point or a grapheme cluster (a "
    "letter together with its combining marks).",
)
@click.option(
    "--vocabulary",
    type=int,
    default=8000,
    show_default=True,
    help="Size of the vocabulary in tokens.",
)
@click.option(
    "--normalization",
    type=click.Choice(["identity", "whitespace", "nmt_nfkc"]),
    help="Normalisation of the text: `identity` (none), `whitespace` (single spaces) or "
    "`nmt_nfkc` (NFKC and single spaces). Choose `identity` if a configuration will normalise "
    "source and target in different ways. Symbols and grapheme clusters allow only `identity`.  "
    "[default: identity; whitespace for --kind word]",
)
@click.option("--lowercase", is_flag=True, help="Convert the text to lower case before training.")
@click.option(
    "--case",
    type=click.Choice(["plain", "marked"]),
    default="plain",
    show_default=True,
    help="How capital letters are encoded. `plain`: unchanged. `marked`: as lower-case letters, "
    "with tokens that mark the capitals.",
)
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    help="String that has its own token and is never split. Repeat the option for several strings.",
)
@click.option(
    "--character-coverage",
    type=float,
    help="Fraction of the characters in the text that the vocabulary must cover.  [default: 0.9995 "
    "for unigram and bpe, 1 for the other kinds]",
)
def learn_command(inputs: tuple[Path, ...], output: Path, **settings: Any) -> None:
    """Train a tokenizer on the lines of the text files INPUTS.

    A configuration can use the tokenizer with `tokenizer.model`.
    """
    from seq2seq.config import toml
    from seq2seq.config.tokenizer_section import TokenizerConfig
    from seq2seq.files import write_atomically
    from seq2seq.progress import show_progress
    from seq2seq.text.segmentation import chosen_segmentation
    from seq2seq.text.tokenizer import train_tokenizer

    def lines() -> Iterator[str]:
        for path in inputs:
            yield from line_io.read_all_lines(path)

    settings["symbols"] = list(settings["symbols"])
    chosen = toml.validate_section(TokenizerConfig, settings, where="tokenizer train")
    rule = chosen.normalization_of("target")
    if chosen_segmentation(chosen) is not None and rule != "identity":
        raise UserError(
            f"--normalization {rule}: a vocabulary of symbols or grapheme clusters does not "
            "normalise text; leave out the option, and set tokenizer.normalization for training"
        )
    name = ", ".join(map(str, inputs))
    with show_progress("learning the vocabulary"):
        learned = train_tokenizer(lines(), chosen, name, rule)
    write_atomically(output, learned.model)


@tokenizer_group.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@output_option("Write the subwords to this file instead of stdout.")
@click.option(
    "--ids", is_flag=True, help="Write the vocabulary number of each subword instead of its text."
)
@click.option("--lowercase", is_flag=True, help="Convert the text to lower case before encoding.")
def encode(
    model: Path, input_file: Path | None, output: Path | None, ids: bool, lowercase: bool
) -> None:
    """Split the lines of INPUT, or of stdin, into subwords separated by spaces.

    MODEL is a file that `seq2seq tokenizer train` wrote, or a model folder. If it is a model
    folder, the command uses the tokenizer of the source side.
    """
    loaded = _load(model, "source", lowercase=lowercase)
    with (
        line_io.open_source(input_file) as source,
        line_io.open_sink(output, [input_file]) as sink,
        line_io.show_line_progress("encoding", source, sink) as advance,
    ):
        for window in line_io.read_windows(source, LINES_AHEAD):
            for row in loaded.encode(window):
                line = " ".join(map(str, row) if ids else loaded.pieces(row))
                sink.write(line.encode("utf-8", "replace") + b"\n")
            sink.flush()
            advance(len(window))


@tokenizer_group.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("input_file", metavar="[INPUT]", required=False, type=click.Path(path_type=Path))
@output_option("Write the text to this file instead of stdout.")
@click.option(
    "--ids", is_flag=True, help="Read vocabulary numbers instead of the text of subwords."
)
def decode(model: Path, input_file: Path | None, output: Path | None, ids: bool) -> None:
    """Join the subwords in each line of INPUT, or of stdin, back into text.

    MODEL is a file that `seq2seq tokenizer train` wrote, or a model folder. If it is a model
    folder, the command uses the tokenizer of the target side.
    """
    loaded = _load(model, "target")
    number = 0
    with (
        line_io.open_source(input_file) as source,
        line_io.open_sink(output, [input_file]) as sink,
        line_io.show_line_progress("decoding", source, sink) as advance,
    ):
        for window in line_io.read_windows(source, LINES_AHEAD):
            for line in window:
                number += 1
                words = line.split(" ") if line else []
                row = parse_ids(words, number, len(loaded)) if ids else loaded.piece_ids(words)
                sink.write(loaded.decode([row])[0].encode("utf-8", "replace") + b"\n")
            sink.flush()
            advance(len(window))


def parse_ids(words: Sequence[str], number: int, size: int) -> list[int]:
    """Convert decimal numbers to ids. The error for an invalid id names the line `number`."""
    for word in words:
        if not (word.isascii() and word.isdigit() and int(word) < size):
            raise UserError(
                f"line {number}: {word!r} is not a vocabulary number; use numbers "
                f"from 0 to {size - 1}"
            )
    return [int(word) for word in words]


def _load(path: Path, side: str, *, lowercase: bool = False) -> Tokenizer:
    """Load a tokenizer from a tokenizer file or from a model folder.

    side: "source" or "target": the side of the model folder whose tokenizer is loaded.

    Raises UserError if `path` cannot be read, or if `lowercase` is set for a model folder.
    """
    from seq2seq.text.tokenizer import Tokenizer

    if path.is_dir():
        from seq2seq.decoding.load import load_any_config
        from seq2seq.text.codec import Codec

        if lowercase:
            raise UserError(
                f"--lowercase: the model folder {path} already sets whether text is converted to "
                "lower case; leave out --lowercase"
            )
        loaded: Tokenizer = getattr(Codec.load(path, load_any_config(path)), side)
        return loaded
    try:
        return Tokenizer(path.read_bytes(), lowercase=lowercase)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
