"""What a run says while it runs: a live line in a terminal or a notebook, plain lines elsewhere,
and its metrics log."""

from __future__ import annotations

import html
import json
import logging
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from seq2seq.files import atomic_file
from seq2seq.training.callbacks import TrainingRow, ValidationRow

_log = logging.getLogger(__name__)


class MetricsLog:
    """`metrics.jsonl`: one row a line, whole ones only."""

    def __init__(self, path: Path | None, rows: int) -> None:
        """Open for appending after the first `rows` rows; what lies behind them is cut off, for
        it was written after the checkpoint from which the run goes on. None: count them only."""
        self.rows, self._file = rows, None
        if path is None:
            return
        kept = []
        if path.exists():
            kept = path.read_bytes().split(b"\n")[:-1][:rows]
        with atomic_file(path) as aside:
            aside.write_bytes(b"".join(line + b"\n" for line in kept))
        self.rows = len(kept)
        self._file = path.open("ab")

    def append(self, row: Mapping[str, object]) -> None:
        """Write a row, seen by others at once. ValueError for a number that is not finite."""
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        if self._file is not None:
            self._file.write(line)
            self._file.flush()
        self.rows += 1

    def sync(self) -> None:
        """Have the disk hold all rows: called before a checkpoint counts them."""
        if self._file is not None:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """No row comes any more."""
        if self._file is not None:
            self._file.close()


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
    if sys.stderr.isatty():
        return TerminalBar()
    # Only a program that IPython runs has imported it.
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookBar() if hasattr(shell, "kernel") else None


class ProgressDisplay:
    """Progress: a live line in a terminal and in a notebook, lines of the log elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._bar = None if quiet else live_bar()

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def show_training(self, row: TrainingRow, done: float, seconds_left: float | None) -> None:
        """Show a training row; done: the part of the run that is behind, from 0 to 1."""
        figures = (
            f"loss {row['loss']:.3f}  ppl {row['perplexity']:.2f}  "
            f"{row['tokens_per_second']:,.0f} tokens/s"
        )
        left = "" if seconds_left is None else f"{_span(seconds_left)} left"
        if self._bar:
            name = f"epoch {row['epoch'] + 1}  update {row['update']:,}"
            self._bar.show(done, name, figures, left)
        else:
            _log.info("epoch %d  update %d  %s  %s", row["epoch"] + 1, row["update"], figures, left)

    def show_validation(self, row: ValidationRow, metric: str) -> None:
        """Show a validation row, above the live line."""
        text = (
            f"validation at update {row['update']:,}: loss {row['loss']:.3f}  "
            f"ppl {row['perplexity']:.2f}{_quality(row)}"
            + (f"  (best by {metric})" if row["best"] else "")
        )
        if self._bar:
            self._bar.say(text)
        else:
            _log.info("%s", text)


def _quality(row: ValidationRow) -> str:
    """What a validation row says beside the loss, to be put behind it."""
    if row["bleu"] is not None:
        return f"  BLEU {row['bleu']:.2f}"
    return "" if row["accuracy"] is None else f"  accuracy {row['accuracy']:.4f}"


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
