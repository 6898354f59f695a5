"""Show the progress of a run and write its metrics log.

A terminal or a notebook shows a progress bar. Otherwise, progress goes to the log as plain lines.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from seq2seq.config.training_sections import TrainingConfig
from seq2seq.files import atomic_file, name_in_errors
from seq2seq.models.perplexity_value import format_share
from seq2seq.progress import REFRESHES
from seq2seq.training.bars import live_bar
from seq2seq.training.callbacks import TrainingRow, ValidationRow, ValidationScores
from seq2seq.training.schedule import fraction_done
from seq2seq.training.state import Counters

_log = logging.getLogger(__name__)

_FEW_UPDATES = 5  # before the time left is estimated


class MetricsLog:
    """A writer of the file `metrics.jsonl`, which contains one row (JSON object) per line."""

    def __init__(self, path: Path | None, rows: int) -> None:
        """Open the log for appending after its first `rows` rows.

        Later rows are deleted, because they were written after the checkpoint from which the run
        resumes. An incomplete last line is deleted, too. If `path` is None, rows are only counted,
        not written.
        """
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
        """Write a row at once, so that other programs can read it.

        Raise ValueError if the row contains NaN or an infinite number.
        """
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        if self._file is not None:
            with name_in_errors(Path(self._file.name)):
                self._file.write(line)
                self._file.flush()
        self.rows += 1

    def sync(self) -> None:
        """Force all rows onto the disk. Call this before a checkpoint stores the number of rows."""
        if self._file is not None:
            with name_in_errors(Path(self._file.name)):
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with name_in_errors(Path(self._file.name)):  # writes what a full disk did not take
                self._file.close()


class ProgressDisplay:
    """The display of training progress: a bar in a terminal or notebook, log lines elsewhere."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._bar = None if quiet else live_bar()
        self._figures = ""  # text of the last training row
        self._next_refresh = 0.0  # time of the monotonic clock, in seconds
        self._start: tuple[int, float, float] | None = None  # update, seconds, fraction done

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
        """Redraw the progress bar, at most a few times per second. Call this after every update.

        batches: number of batches in the epoch.
        """
        if self._start is None:
            done = fraction_done(settings, counters, batches, clock=True)
            self._start = counters.update, counters.seconds, done
        if self._bar is None or time.monotonic() < self._next_refresh:
            return
        self._next_refresh = time.monotonic() + 1 / REFRESHES
        self._bar.show(
            fraction_done(settings, counters, batches, clock=True),
            _position(counters),
            self._figures,
            self._time_left(settings, counters, batches),
        )

    def show_end(self, counters: Counters) -> None:
        """Show a full progress bar. Call this once, when the run has reached its end.

        The run may end before its limit, for example if the score no longer improves.
        """
        if self._bar is not None:
            self._bar.show(1.0, _position(counters), self._figures, "finished")

    def show_training(
        self, row: TrainingRow, settings: TrainingConfig, counters: Counters, batches: int
    ) -> None:
        """Show a training row of the log.

        batches: number of batches in the epoch.
        """
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
        """Return an estimate of the remaining time, or "" until there have been enough updates.

        The estimate uses the updates of this process, except the first update, which is slow.
        """
        if self._start is None or counters.update < self._start[0] + _FEW_UPDATES:
            return ""
        _, seconds, before = self._start
        done = fraction_done(settings, counters, batches, clock=True)
        if done <= before:
            return ""
        rate = (counters.seconds - seconds) / (done - before)
        return f"{_span(rate * (1 - done))} left"

    def show_validation(self, row: ValidationRow, by: str) -> None:
        """Show a validation row of the log, next to the bar if there is one.

        by: what decided whether these weights are the best: the metric or "loss".
        """
        best = f"  (best by {by})" if row["best"] else ""
        texts = [f"validation at update {row['update']:,}: {_scores(row)}{best}"]
        texts += [
            f"validation set {name}: {_scores(scores)}" for name, scores in row["others"].items()
        ]
        for text in texts:
            if self._bar:
                self._bar.say(text)
            else:
                _log.info("%s", text)


def _position(counters: Counters) -> str:
    # `epoch` counts complete epochs; the last one is complete when the run ends with it.
    return f"epoch {counters.epoch + (counters.position > 0)}  update {counters.update:,}"


def _scores(scores: ValidationScores) -> str:
    text = f"loss {scores['loss']:.3f}  ppl {scores['perplexity']:.2f}"
    if scores["unknown"]:
        text += f" ({format_share(scores['unknown'])} unknown"
        known = scores["known_perplexity"]
        text += ")" if known is None else f", without them {known:.2f})"
    if scores["bleu"] is not None:
        text += f"  BLEU {scores['bleu']:.2f}"
    if scores["chrf"] is not None:
        text += f"  chrF {scores['chrf']:.2f}"
    if scores["ter"] is not None:
        text += f"  TER {scores['ter']:.2f}"
    if scores["wer"] is not None:
        text += f"  WER {scores['wer']:.2f}  SER {scores['ser']:.2f}"
    if scores["accuracy"] is not None:
        text += f"  accuracy {scores['accuracy']:.4f}"
    if scores["exact_match"] is not None:
        text += f"  exact match {scores['exact_match']:.2f}"
    return text


def _span(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
