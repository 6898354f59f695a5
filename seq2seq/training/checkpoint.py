"""Save and load the checkpoints of a run. Only the last checkpoint is kept.

A checkpoint is written atomically, so an interrupted write leaves no broken checkpoint.
"""

from __future__ import annotations

from pathlib import Path

from seq2seq.errors import UserError
from seq2seq.files import atomic_folder, delete_folder
from seq2seq.training.state import TrainState


class Checkpoints:
    """The checkpoints in the folder `checkpoints/` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, then delete all older checkpoints.

        Raise UserError if the checkpoint cannot be written.
        """
        name = f"update-{state.counters.update:08d}"
        try:
            with atomic_folder(self.folder / name) as aside:
                state.save(aside)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError if the disk is full
            raise UserError(
                f"{_failed_file(error, self.folder / name)}: the checkpoint cannot be written "
                f"({getattr(error, 'strerror', None) or error}). Check whether "
                "the disk is full, then resume from the last checkpoint with --resume."
            ) from error
        for folder in self._all():
            if folder.name != name:
                delete_folder(folder)

    def load(self, state: TrainState) -> bool:
        """Fill `state` from the last checkpoint. Return False if there is no checkpoint yet.

        Raise UserError if the checkpoint is broken.
        """
        folders = self._all()
        if folders:
            state.load(folders[-1])
        return bool(folders)

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("update-*"))


def _failed_file(error: Exception, folder: Path) -> object:
    """Return the file that an error names, or the checkpoint's folder if it names no file."""
    return getattr(error, "filename", None) or folder
