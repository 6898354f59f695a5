"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def device_options(command: Callable[..., Any]) -> Callable[..., Any]:
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
            "--threads", type=click.IntRange(0), default=0, help="0: one a core  [default: 0]"
        ),
    ):
        command = option(command)
    return command


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, and how many lines at once."""
    return device_options(
        click.option(
            "--batch-size",
            type=int,
            default=64,
            show_default=True,
            help="Lines that are worked on together.",
        )(command)
    )
