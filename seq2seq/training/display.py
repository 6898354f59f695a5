"""What a run says while it runs: a live line in a terminal or a notebook, plain lines elsewhere,
and its metrics log."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from seq2seq.config.schema import TrainingConfig
from seq2seq.files import atomic_file
from seq2seq.progress import REFRESHES
from seq2seq.training.bars import live_bar
from seq2seq.training.callbacks import TrainingRow, ValidationRow
from seq2seq.training.schedule import fraction_done
from seq2seq.training.state import Counters

_log = logging.getLogger(__name__)

_FEW_UPDATES = 5  # that the time left is estimated from


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


class ProgressDisplay:
    """Progress: a live line in a terminal and in a notebook, lines of the log elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._bar = None if quiet else live_bar()
        self._figures = ""  # of the last training row
        self._next_refresh = 0.0  # on the monotonic clock
        self._start: tuple[int, float, float] | None = None  # update, seconds and part done

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

    def show_position(self, settings: TrainingConfig, counters: Counters, batches: int) -> None:
        """Move the bar; called after every update, so it returns at once between two refreshes.
        batches: in the epoch."""
        if self._start is None:
            done = fraction_done(settings, counters, batches, clock=True)
            self._start = counters.update, counters.seconds, done
        if self._bar is None or time.monotonic() < self._next_refresh:
            return
        self._next_refresh = time.monotonic() + 1 / REFRESHES
        self._bar.show(
            fraction_done(settings, counters, batches, clock=True),
            f"epoch {counters.epoch + 1}  update {counters.update:,}",
            self._figures,
            self._time_left(settings, counters, batches),
        )

    def show_training(
        self, row: TrainingRow, settings: TrainingConfig, counters: Counters, batches: int
    ) -> None:
        """Show a training row. batches: in the epoch."""
        figures = (
            f"loss {row['loss']:.3f}  ppl {row['perplexity']:.2f}  "
            f"{row['tokens_per_second']:,.0f} tokens/s"
        )
        self._figures = figures
        if self._bar:
            self._next_refresh = 0.0
            self.show_position(settings, counters, batches)
        else:
            left = self._time_left(settings, counters, batches)
            _log.info("epoch %d  update %d  %s  %s", row["epoch"] + 1, row["update"], figures, left)

    def _time_left(self, settings: TrainingConfig, counters: Counters, batches: int) -> str:
        """An estimate from the updates since this process began, but for the first one, which is
        slow; empty before there are a few."""
        if self._start is None or counters.update < self._start[0] + _FEW_UPDATES:
            return ""
        _, seconds, before = self._start
        done = fraction_done(settings, counters, batches, clock=True)
        if done <= before:
            return ""
        rate = (counters.seconds - seconds) / (done - before)
        return f"{_span(rate * (1 - done))} left"

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
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
