"""Checkpoints: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from seq2seq.errors import UserError
from seq2seq.files import atomic_folder
from seq2seq.models.folder import load_weights, save_weights
from seq2seq.models.network import HiddenState

# What reading a file that is cut short, changed, or not ours raises.
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, pickle.UnpicklingError)


@dataclass
class Progress:
    """Where a run stands. Plain numbers, so that it is read as text and runs no code."""

    update: int = 0
    epoch: int = 0  # the one under way, from 0
    position: int = 0  # batches of it that are done
    feed: str = ""  # what they are batches of, see `BatchPlanner.name`
    seconds: float = 0.0  # of training, added up over resumes
    validated: int = -1  # the update of the last validation
    best: float | None = None  # its score by validation.metric, higher is better
    waited: int = 0  # validations since
    cuts: int = 0  # of the plateau schedule
    plateau_waited: int = 0
    rows: int = 0  # of metrics.jsonl
    threads: int = 0
    ranks: int = 1
    # Sums since the last row of the log.
    window_nll: float = 0.0
    window_tokens: int = 0
    window_norm: float = 0.0
    window_updates: int = 0
    window_start: float = 0.0  # `seconds` at its beginning

    def clear_window(self) -> None:
        """Begin a new row of the log."""
        self.window_nll = self.window_norm = 0.0
        self.window_tokens = self.window_updates = 0
        self.window_start = self.seconds


class Checkpoints:
    """The folder `checkpoints/` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self,
        progress: Progress,
        network: torch.nn.Module,
        averaged: torch.nn.Module | None,
        optimizer: torch.optim.Optimizer,
        carried: HiddenState | None = None,
    ) -> None:
        """Write one whole, then remove the older ones. Raises UserError where that fails."""
        name = f"update-{progress.update:08d}"
        text = json.dumps(asdict(progress), indent=2) + "\n"
        try:
            with atomic_folder(self.folder / name) as aside:
                save_weights(aside / "weights.safetensors", network)
                if averaged is not None:
                    save_weights(aside / "average.safetensors", averaged)
                torch.save(optimizer.state_dict(), aside / "optimizer.pt")
                if carried is not None:
                    torch.save(carried, aside / "carried.pt")
                (aside / "progress.json").write_text(text, encoding="utf-8")
        except (OSError, RuntimeError) as error:  # of a full disk, torch makes a RuntimeError
            raise UserError(
                f"{self.folder / name}: the checkpoint cannot be written ({error}): is the disk "
                "full? the last one is whole: go on from it with --resume"
            ) from error
        for other in self._all():
            if other.name != name:
                shutil.rmtree(other, ignore_errors=True)

    def load(
        self,
        network: torch.nn.Module,
        averaged: torch.nn.Module | None,
        optimizer: torch.optim.Optimizer,
    ) -> Progress | None:
        """Fill all three from the last one; None if there is none yet. Raises UserError."""
        found = self._all()
        if not found:
            return None
        folder = found[-1]
        try:
            values: dict[str, Any] = json.loads((folder / "progress.json").read_text("utf-8"))
            state = torch.load(folder / "optimizer.pt", weights_only=True, map_location="cpu")
            load_weights(folder / "weights.safetensors", network)
            if averaged is not None and (folder / "average.safetensors").exists():
                load_weights(folder / "average.safetensors", averaged)
            elif averaged is not None:  # averaging was switched on for the resumed part
                averaged.load_state_dict(network.state_dict())
            settings = [
                {key: value for key, value in group.items() if key not in ("params", "lr")}
                for group in optimizer.param_groups
            ]
            optimizer.load_state_dict(state)
            for group, own in zip(optimizer.param_groups, settings, strict=True):
                group.update(own)  # how to go on is the configuration's to say
            if set(values) != {field.name for field in fields(Progress)}:
                raise KeyError("progress.json is of another version")
            return Progress(**values)
        except _BROKEN as error:
            detail = " ".join(str(error).split())[:200]
            raise UserError(f"{folder}: the checkpoint cannot be read: {detail}") from None

    def carried(self) -> HiddenState | None:
        """The state that the text under way had left, in the last one. Raises UserError."""
        path = self._all()[-1] / "carried.pt"
        try:
            if not path.exists():
                return None
            found: HiddenState = torch.load(path, weights_only=True, map_location="cpu")
        except _BROKEN as error:
            raise UserError(f"{path}: cannot be read: {error}") from None
        return found

    def _all(self) -> list[Path]:
        return sorted(self.folder.glob("update-*"))
