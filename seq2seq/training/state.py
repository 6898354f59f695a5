"""The resume state: all that a run needs to go on as if it had never stopped."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.errors import UserError
from seq2seq.models.folder import load_weights, save_weights
from seq2seq.models.network import HiddenState
from seq2seq.training.callbacks import TrainingRow
from seq2seq.training.distributed import Ranks

_COUNTERS, _OPTIMIZER, _HIDDEN = "counters.json", "optimizer.pt", "hidden.pt"
_WEIGHTS, _EMA = "weights.safetensors", "ema.safetensors"
# What reading a file that is cut short, changed, or not ours raises.
_BROKEN = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, pickle.UnpicklingError)


@dataclass
class Counters:
    """Where a run stands. Plain numbers, so that it is read as text and runs no code."""

    update: int = 0  # updates done
    epoch: int = 0  # the current epoch, from 0
    position: int = 0  # batches of it that are done
    plan_name: str = ""  # how they were planned, see `BatchPlanner.plan_name`
    seconds: float = 0.0  # of training, added up over resumes
    validated: int = -1  # the update of the last validation
    best: float | None = None  # the best score by validation.metric, higher is better
    waited: int = 0  # validations since the best one
    cuts: int = 0  # of the learning rate, by the plateau schedule
    plateau_waited: int = 0  # validations without a gain since the last cut
    rows: int = 0  # of metrics.jsonl
    threads: int = 0
    ranks: int = 1
    # Sums since the last row of the log.
    window_nll: float = 0.0
    window_tokens: int = 0
    window_norm: float = 0.0
    window_updates: int = 0
    window_start: float = 0.0  # `seconds` at the window's beginning

    def window_row(self, learning_rate: float) -> TrainingRow:
        """The row of the log for the updates since the last one, of which there is at least one."""
        loss = self.window_nll / self.window_tokens
        return {
            "kind": "train",
            "update": self.update,
            "epoch": self.epoch,
            "loss": loss,
            "perplexity": math.exp(min(loss, 700)),
            "gradient_norm": self.window_norm / self.window_updates,
            "learning_rate": learning_rate,
            "tokens_per_second": self.window_tokens / max(self.seconds - self.window_start, 1e-9),
            "minutes": self.seconds / 60,
        }

    def clear_window(self) -> None:
        """Begin a new row of the log."""
        self.window_nll = self.window_norm = 0.0
        self.window_tokens = self.window_updates = 0
        self.window_start = self.seconds


@dataclass
class TrainState:
    """What a checkpoint holds.

    ema: the network of averaged weights, or None; hidden: the hidden state that the next batch
    starts from, the rows of all ranks on the CPU, or None where batches are independent.
    """

    network: nn.Module
    ema: nn.Module | None
    optimizer: torch.optim.Optimizer
    hidden: HiddenState | None = None
    counters: Counters = field(default_factory=Counters)

    def save(self, folder: Path) -> None:
        """Write the state into an existing folder. Raises OSError or RuntimeError (torch's, for a
        full disk)."""
        save_weights(folder / _WEIGHTS, self.network)
        if self.ema is not None:
            save_weights(folder / _EMA, self.ema)
        torch.save(self.optimizer.state_dict(), folder / _OPTIMIZER)
        if self.hidden is not None:
            torch.save(self.hidden, folder / _HIDDEN)
        text = json.dumps(asdict(self.counters), indent=2) + "\n"
        (folder / _COUNTERS).write_text(text, encoding="utf-8")

    def load(self, folder: Path) -> None:
        """Fill this state from a folder that `save` wrote. The optimizer keeps its own settings.

        Without averaged weights in the folder, `ema` starts as a copy of the network. Raises
        UserError where a file is broken or of another version.
        """
        try:
            counters = _read_counters(folder / _COUNTERS)
            moments = torch.load(folder / _OPTIMIZER, weights_only=True, map_location="cpu")
            load_weights(folder / _WEIGHTS, self.network)
            if self.ema is not None and (folder / _EMA).exists():
                load_weights(folder / _EMA, self.ema)
            elif self.ema is not None:  # averaging was switched on for the resumed part
                self.ema.load_state_dict(self.network.state_dict())
            settings = [
                {key: value for key, value in group.items() if key not in ("params", "lr")}
                for group in self.optimizer.param_groups
            ]
            self.optimizer.load_state_dict(moments)
            for group, configured in zip(self.optimizer.param_groups, settings, strict=True):
                group.update(configured)
        except _BROKEN as error:
            detail = " ".join(str(error).split())[:200]
            raise UserError(f"{folder}: the checkpoint cannot be read: {detail}") from None
        self.hidden = _read_hidden(folder / _HIDDEN)
        self.counters = counters

    def broadcast(self, ranks: Ranks) -> None:
        """Copy the first rank's state to all other ranks; every rank must call this."""
        if ranks.world_size == 1:
            return
        parts: list[Any] = [self.network, self.optimizer]
        if self.ema is not None:
            parts.append(self.ema)
        # On the CPU: a pickled tensor would name the first rank's device.
        states = [_copy_to_cpu(part.state_dict()) for part in parts] if ranks.is_first else []
        self.counters, self.hidden, states = ranks.broadcast((self.counters, self.hidden, states))
        if not ranks.is_first:
            for part, state in zip(parts, states, strict=True):
                part.load_state_dict(state)


def _read_counters(path: Path) -> Counters:
    """Raises an error of `_BROKEN` where the file is not whole or of another version."""
    if not path.exists():
        raise ValueError(f"no {path.name}: it is of another version")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if set(values) != {item.name for item in fields(Counters)}:
        raise ValueError(f"{path.name} is of another version")
    return Counters(**values)


def _read_hidden(path: Path) -> HiddenState | None:
    """The saved hidden state, None where there is none. Raises UserError for a broken file."""
    try:
        if not path.exists():
            return None
        hidden: HiddenState = torch.load(path, weights_only=True, map_location="cpu")
    except _BROKEN as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    return hidden


def _copy_to_cpu(value: Any) -> Any:
    """A state dict with all tensors on the CPU."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _copy_to_cpu(item) for key, item in value.items()}
    return [_copy_to_cpu(item) for item in value] if isinstance(value, list) else value
