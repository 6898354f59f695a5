"""The live line of a training: in a terminal, or in a notebook."""

from __future__ import annotations

import html
import sys
from importlib import import_module
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from seq2seq.progress import REFRESHES, is_terminal


class Bar(Protocol):
    """A live line: `show` draws it anew, `say` writes a line of text above it."""

    def start(self) -> None: ...

    def show(self, done: float, name: str, figures: str, left: str) -> None: ...

    def say(self, text: str) -> None: ...

    def stop(self) -> None: ...


class TerminalBar:
    """A live line in a terminal."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=REFRESHES,
        )
        self._task = self._progress.add_task("training", total=1.0, figures="", left="")

    def start(self) -> None:
        self._progress.start()

    def show(self, done: float, name: str, figures: str, left: str) -> None:
        self._progress.update(
            self._task, completed=done, description=name, figures=figures, left=left
        )

    def say(self, text: str) -> None:
        self._progress.console.print(text, highlight=False)

    def stop(self) -> None:
        self._progress.stop()


class NotebookBar:
    """A live line in the output of a notebook's cell, drawn by IPython alone: rich's own needs
    ipywidgets there. It stays when the run ends."""

    def __init__(self) -> None:
        self._display: Any = import_module("IPython.display")
        self._handle: Any = None

    def start(self) -> None:
        self._handle = self._display.display(self._html(0.0, "training"), display_id=True)

    def show(self, done: float, name: str, figures: str, left: str) -> None:
        if self._handle is not None:
            self._handle.update(self._html(done, f"{name}  {figures}  {left}"))

    def say(self, text: str) -> None:
        print(text)

    def stop(self) -> None:
        self._handle = None

    def _html(self, done: float, text: str) -> Any:
        return self._display.HTML(
            f'<progress max="1" value="{done:.4f}"></progress> {html.escape(text)}'
        )


def live_bar() -> Bar | None:
    """The bar that fits where stderr goes: a terminal, a notebook; None for anything else."""
    if is_terminal():
        return TerminalBar()
    # Only a program that IPython runs has imported it.
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookBar() if hasattr(shell, "kernel") else None
