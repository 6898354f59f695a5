"""What a run says while it runs: a live line in a terminal, plain lines elsewhere, and its _log."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from seq2seq.files import atomic_file

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

    def append(self, row: dict[str, Any]) -> None:
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


class ProgressDisplay:
    """Progress on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._live: Progress | None = None
        if sys.stderr.isatty() and not quiet:
            self._live = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._live.add_task("training", total=1.0, figures="", left="")

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def show_training(self, row: dict[str, Any], done: float, seconds_left: float | None) -> None:
        """Show a training row; done: the part of the run that is behind, from 0 to 1."""
        figures = (
            f"loss {row['loss']:.3f}  ppl {row['perplexity']:.2f}  "
            f"{row['tokens_per_second']:,.0f} tokens/s"
        )
        left = "" if seconds_left is None else f"{_span(seconds_left)} left"
        if self._live:
            self._live.update(
                self._task,
                completed=done,
                description=f"epoch {row['epoch'] + 1}  update {row['update']:,}",
                figures=figures,
                left=left,
            )
        else:
            _log.info("epoch %d  update %d  %s  %s", row["epoch"] + 1, row["update"], figures, left)

    def show_validation(self, row: dict[str, Any], metric: str) -> None:
        """Show a validation row, above the live line."""
        text = (
            f"validation at update {row['update']:,}: loss {row['loss']:.3f}  "
            f"ppl {row['perplexity']:.2f}{_quality(row)}"
            + (f"  (best by {metric})" if row["best"] else "")
        )
        if self._live:
            self._live.console.print(text, highlight=False)
        else:
            _log.info("%s", text)


def _quality(row: dict[str, Any]) -> str:
    """What a validation row says beside the loss, to be put behind it."""
    if row["bleu"] is not None:
        return f"  BLEU {row['bleu']:.2f}"
    return "" if row["accuracy"] is None else f"  accuracy {row['accuracy']:.4f}"


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
