"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from seq2seq.errors import UserError


def model_folders(models: str) -> list[Path]:
    """One folder, or several named with commas between them. Raises UserError."""
    names = models.split(",")
    if not all(names):
        raise UserError(f"{models!r}: the name of a model folder is missing")
    return [Path(name) for name in names]


# The names that `with_model_options` adds.
MODEL_OPTIONS = ("device", "precision", "threads", "batch_size")


def with_device_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where a model runs, and how."""
    for option in (
        click.option(
            "--precision",
            type=click.Choice(["fp32", "bf16", "auto"]),
            default="fp32",
            show_default=True,
        ),
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ..."),
        click.option(
            "--threads",
            type=click.IntRange(0),
            default=0,
            help="0: $OMP_NUM_THREADS, or one a core  [default: 0]",
        ),
    ):
        command = option(command)
    return command


def with_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and how many lines at once."""
    return with_device_options(
        click.option(
            "--batch-size",
            type=int,
            default=64,
            show_default=True,
            help="Lines that are worked on together.",
        )(command)
    )


def with_text_constraints(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the constraints that language models share with translators."""
    for option in (
        click.option(
            "--stop",
            multiple=True,
            metavar="TEXT",
            help="End a translation where TEXT would start, and leave TEXT out. May be repeated.",
        ),
        click.option(
            "--no-repeat-ngram",
            type=int,
            default=0,
            show_default=True,
            metavar="N",
            help="Forbid to repeat a sequence of N subwords. 0: allow repetitions.",
        ),
        click.option(
            "--forbid",
            multiple=True,
            metavar="PHRASE",
            help="Never write PHRASE, as whole words. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def with_search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a search: the arguments of `decoding.options.search_options`."""
    for option in (
        click.option(
            "--require",
            multiple=True,
            metavar="PHRASE",
            help="Write PHRASE, as whole words, in every translation. May be repeated.",
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
            help="Of --mbr.",
        ),
        click.option(
            "--mbr",
            type=int,
            default=0,
            help="Of N candidates, the n best of a --beam as large or samples, take the one most "
            "like the others (minimum Bayes risk).",
        ),
        click.option("--seed", type=int, default=1, show_default=True, help="Of --sample."),
        click.option("--top-p", type=float, default=1.0, help="Sample from this mass alone."),
        click.option("--top-k", type=int, default=0, help="Sample from the k likeliest alone."),
        click.option("--temperature", type=float, default=1.0, show_default=True),
        click.option("--sample", "sampling", is_flag=True, help="Draw translations at random."),
        click.option(
            "--max-length",
            type=int,
            help="Largest number of subwords of a translation, with its end  [default: a limit "
            "learned from the lengths of the training pairs]",
        ),
        click.option("--min-length", type=int, default=1, show_default=True, help="Subwords."),
        click.option(
            "--length-penalty",
            type=float,
            default=1.0,
            show_default=True,
            help="α of score = Σ log p / length^α.",
        ),
        click.option("--beam", type=int, default=5, show_default=True, help="1: greedy search."),
    ):
        command = option(command)
    return with_text_constraints(command)


# The names that `with_source_options` adds.
SOURCE_OPTIONS = ("split_sentences", "source_prefix", "protect")


def with_source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that prepare source lines: the fields of `SourceOptions`."""
    for option in (
        click.option(
            "--protect",
            is_flag=True,
            help="Keep placeholders ({0}, %s), tags (<b>), URLs, e-mail addresses and numbers as "
            "they are: take them out of a line and put them into its translation.",
        ),
        click.option(
            "--source-prefix",
            multiple=True,
            metavar="TEXT",
            help="Start each line, and each part of a line that is split, with TEXT, for example "
            "the tag <2de>. If repeated, a line keeps the TEXT that it starts with.",
        ),
        click.option(
            "--split-sentences",
            is_flag=True,
            help="Split lines into sentences, translate each sentence alone, and join the "
            "translations with the white space of the line.",
        ),
    ):
        command = option(command)
    return command
