"""Command-line options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from seq2seq.errors import UserError

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def model_folders(models: str) -> list[Path]:
    """Return the model folders in a comma-separated list.

    The name of a folder may contain commas itself: the longest names that exist are taken.
    Raises UserError for an empty name, and for a list that contains a missing folder.
    """
    names: list[str] = []
    parts = models.split(",")
    while parts and len(parts) + len(names) > 1:
        ends = range(len(parts), 0, -1)
        end = next((end for end in ends if Path(",".join(parts[:end])).is_dir()), 0)
        if not end and all(parts):
            rest = ",".join(parts)
            missing = rest if len(parts) == 1 else f"{parts[0]} or {rest}"
            why = f"because {missing} is not a folder; check the path"
            raise UserError(f"{models}: not a model folder and not a list of model folders, {why}")
        names.append(",".join(parts[: end or 1]))
        parts = parts[end or 1 :]
    names += parts
    if not all(names):
        raise UserError(
            f"{models!r}: the name of a model folder is missing; write FOLDER, or FOLDER,FOLDER "
            "for an ensemble"
        )
    return [Path(name) for name in names]


def output_option(text: str, *, required: bool = False) -> _Decorator:
    """Return the option -o, which names the output file. text: the help text."""
    kind = click.Path(path_type=Path)
    return click.option("-o", "--output", type=kind, required=required, help=text)


MODEL_OPTIONS = ("device", "precision", "threads", "batch_size")


def with_device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options --device, --precision and --threads to a command."""
    for option in (
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16", "auto"]),
            default="fp32",
            show_default=True,
            help="Number format of matrix products. auto means bf16 if the processor supports "
            "bf16, and fp32 otherwise.",
        ),
        click.option(
            "--device",
            default="auto",
            show_default=True,
            help="Device to run on: cpu, cuda, cuda:1, ... auto means a GPU if there is one, and "
            "the CPU otherwise.",
        ),
        click.option(
            "--threads",
            type=click.IntRange(0),
            default=0,
            show_default=True,
            help="Number of CPU threads. 0 means the value of $OMP_NUM_THREADS, or one thread per "
            "core if that variable is not set.",
        ),
    ):
        command = option(command)
    return command


def with_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `with_device_options` and --batch-size to a command."""
    return with_device_options(
        click.option(
            "--batch-size",
            type=int,
            default=64,
            show_default=True,
            help="Maximum number of input lines in a batch.",
        )(command)
    )


def with_text_constraints(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that restrict the generated text, such as --forbid, to a command."""
    for option in (
        click.option(
            "--stop",
            multiple=True,
            metavar="TEXT",
            help="End the output where TEXT would start, and leave TEXT out. May be repeated.",
        ),
        click.option(
            "--no-repeat-ngram",
            type=int,
            default=0,
            show_default=True,
            metavar="N",
            help="Never write a sequence of N subwords twice. 0 allows repetitions.",
        ),
        click.option(
            "--forbid",
            multiple=True,
            metavar="PHRASE",
            help="Never write PHRASE as whole words. May be repeated.",
        ),
    ):
        command = option(command)
    return command


# In reverse order: the option that is added last comes first in the help.
_SEARCH_OPTIONS = (
    click.option(
        "--require",
        multiple=True,
        metavar="PHRASE",
        help="Write PHRASE in every translation, as whole words. May be repeated.",
    ),
    click.option(
        "--target-prefix",
        default="",
        metavar="TEXT",
        help="Start the translation of every line with TEXT.",
    ),
    click.option(
        "--utility",
        type=click.Choice(["chrf", "bleu"]),
        default="chrf",
        show_default=True,
        help="Metric by which --mbr compares the candidate translations.",
    ),
    click.option(
        "--mbr",
        type=int,
        default=0,
        metavar="N",
        help="Minimum Bayes risk: generate N candidates and return the candidate that is most "
        "similar to all of them. With --sample, the candidates are N samples. Without --sample, "
        "they are the N best results of a beam search, and --beam must be at least N. 0 turns "
        "minimum Bayes risk off.  [default: 0]",
    ),
    click.option(
        "--seed", type=int, default=1, show_default=True, help="With --sample: the random seed."
    ),
    click.option(
        "--top-p",
        type=float,
        default=1.0,
        help="With --sample: sample each token from the smallest set of most likely tokens whose "
        "probabilities add up to at least this value. 1 keeps all tokens.  [default: 1]",
    ),
    click.option(
        "--top-k",
        type=int,
        default=0,
        help="With --sample: sample each token from the K most likely tokens. 0 keeps all tokens.  "
        "[default: 0]",
    ),
    click.option(
        "--temperature",
        type=float,
        default=1.0,
        show_default=True,
        help="With --sample: the temperature. A value below 1 makes likely tokens even likelier.",
    ),
    click.option(
        "--sample",
        "sampling",
        is_flag=True,
        help="Sample translations from the model instead of using beam search.",
    ),
    click.option(
        "--max-length",
        type=int,
        help="Maximum length of a translation in subwords, including the end-of-sentence token."
        "  [default: a limit learned from the training pairs]",
    ),
    click.option(
        "--min-length",
        type=int,
        default=1,
        show_default=True,
        help="Minimum length of a translation in subwords.",
    ),
    click.option(
        "--length-penalty",
        type=float,
        default=1.0,
        show_default=True,
        help="Length penalty: the exponent α in the score of a hypothesis, Σ log p / length^α. A "
        "larger value favours longer translations.",
    ),
    click.option(
        "--beam",
        type=int,
        default=5,
        show_default=True,
        help="Beam size: the number of hypotheses that beam search keeps. 1 means greedy search.",
    ),
)


def with_search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select and configure the search, such as --beam, to a command."""
    for option in _SEARCH_OPTIONS:
        command = option(command)
    return with_text_constraints(command)


SOURCE_OPTIONS = ("split_sentences", "source_prefix", "protect")


def with_source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that prepare source lines: the fields of `SourceOptions`."""
    for option in (
        click.option(
            "--protect",
            is_flag=True,
            help="Keep placeholders ({0}, %s), tags (<b>), URLs, e-mail addresses and numbers "
            "unchanged: take them out before the translation, and put them back afterwards.",
        ),
        click.option(
            "--source-prefix",
            multiple=True,
            metavar="TEXT",
            help="Put TEXT, such as <2de>, before each line and each part of a split line. If "
            "repeated, each part of a split line gets the TEXT with which the line starts.",
        ),
        click.option(
            "--split-sentences",
            is_flag=True,
            help="Split each line into sentences, translate each sentence alone, and join the "
            "translations with the white space that separated the sentences.",
        ),
    ):
        command = option(command)
    return command
