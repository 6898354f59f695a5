"""Write the rows of metrics.jsonl as TensorBoard scalars, in the folder RUN/tensorboard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from seq2seq.errors import UserError
from seq2seq.training.callbacks import Callback, TrainingRow, ValidationRow

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
_NOT_SCALARS = ("kind", "update", "epoch", "best")


class TensorBoardCallback(Callback):
    """A callback that writes every number of a row as a scalar, such as train/loss or valid/bleu.

    The step of a scalar is the number of the update.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def on_log(self, row: TrainingRow) -> None:
        """Write the numbers of a training row as TensorBoard scalars."""
        self._write(row)

    def on_validation(self, row: ValidationRow) -> None:
        """Write the numbers of a validation row as TensorBoard scalars."""
        self._write(row)

    def close(self) -> None:
        """Close the event file, if one was opened."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, row: Mapping[str, object]) -> None:
        step = row["update"]
        assert isinstance(step, int)
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            # A resumed run repeats the updates since its checkpoint, so their old points go.
            self._writer = SummaryWriter(str(self.folder), purge_step=step)
        for name, value in _scalars(row):
            self._writer.add_scalar(f"{row['kind']}/{name}", value, step)
        self._writer.flush()


@contextmanager
def open_tensorboard(run: Path, *, wanted: bool) -> Iterator[list[Callback]]:
    """Yield a list with the callback that writes RUN/tensorboard; an empty list if not wanted.

    Raise UserError if the package tensorboard is not installed.
    """
    if not wanted:
        yield []
        return
    if find_spec("tensorboard") is None:
        raise UserError(
            "training.tensorboard needs the package tensorboard: run "
            "pip install 'seq2seq-rnn[tensorboard]', or set training.tensorboard to false"
        )
    callback = TensorBoardCallback(run / FOLDER)
    try:
        yield [callback]
    finally:
        callback.close()


def _scalars(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the name and value of each number in a row. A slash joins nested names."""
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _scalars(value, f"{prefix}{name}/")
        elif name not in _NOT_SCALARS and isinstance(value, int | float):
            yield prefix + name, float(value)
