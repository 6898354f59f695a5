"""The checkpoints of a run: each one is whole or not there, and only the last is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from seq2seq.errors import UserError
from seq2seq.files import atomic_folder
from seq2seq.training.state import TrainState


class Checkpoints:
    """The folder `checkpoints/` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, state: TrainState) -> None:
        """Write a whole checkpoint, then remove the older ones. Raises UserError where it cannot
        be written."""
        name = f"update-{state.counters.update:08d}"
        try:
            with atomic_folder(self.folder / name) as aside:
                state.save(aside)
        except (OSError, RuntimeError) as error:  # of a full disk, torch makes a RuntimeError
            raise UserError(
                f"{self.folder / name}: the checkpoint cannot be written ({error}): is the disk "
                "full? the last one is whole: go on from it with --resume"
            ) from error
        for folder in self._all():
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)

    def load(self, state: TrainState) -> bool:
        """Fill `state` from the last checkpoint; False where there is none yet. Raises UserError
        for a broken one."""
        folders = self._all()
        if folders:
            state.load(folders[-1])
        return bool(folders)

    def _all(self) -> list[Path]:
        """All checkpoints, the oldest first."""
        return sorted(self.folder.glob("update-*"))
