"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export


def model_folders(models: str) -> list[Path]:
    """One folder, or several named with commas between them. Raises UserError."""
    names = models.split(",")
    if not all(names):
        raise UserError(f"{models!r}: the name of a model folder is missing")
    return [Path(name) for name in names]


def set_up_machine(models: str, threads: int) -> None:
    """Set the number of threads for the models, and how the C library keeps memory. threads: 0
    chooses a number: one for an export, whose lines are shared among processes, and as
    `runtime.set_threads` does for PyTorch."""
    from seq2seq.allocator import keep_freed_memory

    keep_freed_memory()
    if is_export(model_folders(models)[0]):
        from seq2seq.export import sessions

        sessions.set_thread_count(threads or 1)
        return
    from seq2seq import runtime

    runtime.set_threads(threads)


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


def with_search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a search: the arguments of `decoding.options.search_options`."""
    for option in (
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
            help="Subwords, the end counted  [default: twice the source's + 10]",
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
    return command
