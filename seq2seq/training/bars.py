"""Progress bars of a training run, for terminals and notebooks."""

from __future__ import annotations

import html
import sys
from importlib import import_module
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from seq2seq.progress import REFRESHES, is_terminal


class Bar(Protocol):
    """A progress bar that is redrawn in place.

    show: redraws the bar. `done` is the fraction of the run that is done, from 0 to 1. The other
        arguments are texts beside the bar.
    say: prints a line of text above the bar.
    """

    def start(self) -> None: ...

    def show(self, done: float, name: str, figures: str, left: str) -> None: ...

    def say(self, text: str) -> None: ...

    def stop(self) -> None: ...


class TerminalBar:
    """A progress bar in a terminal, drawn by rich."""

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
    """A progress bar in the output of a notebook cell.

    IPython draws the bar, because rich would need ipywidgets. The bar stays visible when the run
    ends.
    """

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
    """Return a progress bar for the terminal or notebook in which the program runs.

    Return None anywhere else, for example if stderr goes to a file.
    """
    if is_terminal():
        return TerminalBar()
    # In a notebook, IPython has been imported already.
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookBar() if hasattr(shell, "kernel") else None
