"""The state that a checkpoint saves, so that a resumed run continues as if it had never stopped."""

from __future__ import annotations

import errno
import json
import math
import pickle
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from seq2seq.errors import UserError
from seq2seq.files import name_in_errors, write_new
from seq2seq.models.network import HiddenState
from seq2seq.models.weights import load_weights, save_weights
from seq2seq.training.callbacks import TrainingRow
from seq2seq.training.distributed import Ranks

_COUNTERS, _OPTIMIZER, _HIDDEN = "counters.json", "optimizer.pt", "hidden.pt"
_WEIGHTS, _EMA = "weights.safetensors", "ema.safetensors"
# The exceptions that reading a truncated, changed or foreign file raises.
_BROKEN = (
    OSError,
    ValueError,
    RecursionError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    pickle.UnpicklingError,
)


@dataclass
class Counters:
    """The progress of a run in numbers.

    The counters are saved as JSON, so loading them never executes code.
    """

    update: int = 0  # number of updates done
    epoch: int = 0  # number of the current epoch, from 0
    position: int = 0  # number of batches done in the epoch
    plan_name: str = ""  # how the batches were planned, see `BatchPlanner.plan_name`
    seconds: float = 0.0  # training and validation time, including before resumes
    validated: int = -1  # number of the update that was validated last
    best: float | None = None  # the score of the best weights by validation.metric
    best_points: float = 0.0  # how good this score is, see `judging.points`
    best_loss: float | None = None  # the validation loss of the best weights
    lowest_loss: float | None = None  # the lowest validation loss so far
    waited: int = 0  # number of validations since the last gain
    cuts: int = 0  # how often the plateau schedule has cut the learning rate
    plateau_waited: int = 0  # validations without a gain since the last cut
    rows: int = 0  # number of rows in metrics.jsonl
    threads: int = 0  # number of threads of each process
    ranks: int = 1  # number of processes
    # Sums over the updates since the last training row of the log (the window).
    window_nll: float = 0.0
    window_tokens: int = 0
    window_norm: float = 0.0
    window_updates: int = 0
    window_start: float = 0.0  # value of `seconds` when the window began

    def window_row(self, learning_rate: float) -> TrainingRow:
        """Return a training row of the log, for the updates since the last training row.

        There must be at least one such update.
        """
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
        """Set the sums of losses and token counts to zero, for the next training row of the log."""
        self.window_nll = self.window_norm = 0.0
        self.window_tokens = self.window_updates = 0
        self.window_start = self.seconds


@dataclass
class TrainState:
    """The contents of a checkpoint.

    network: the network with its current weights.
    ema: a network with the moving average of the weights, or None without averaging.
    optimizer: the optimizer of the network.
    hidden: the hidden state from which the next batch starts, on the CPU, for the rows of all
        ranks. None if every batch starts from a zero state.
    counters: the progress of the run.
    """

    network: nn.Module
    ema: nn.Module | None
    optimizer: torch.optim.Optimizer
    hidden: HiddenState | None = None
    counters: Counters = field(default_factory=Counters)

    def save(self, folder: Path) -> None:
        """Write the state of the training into an existing folder.

        Raise OSError or RuntimeError if writing fails. The OSError names the file.
        """
        save_weights(folder / _WEIGHTS, self.network)
        if self.ema is not None:
            save_weights(folder / _EMA, self.ema)
        _save_tensors(folder / _OPTIMIZER, self.optimizer.state_dict())
        if self.hidden is not None:
            _save_tensors(folder / _HIDDEN, self.hidden)
        text = json.dumps(asdict(self.counters), indent=2) + "\n"
        write_new(folder / _COUNTERS, text.encode())

    def load(self, folder: Path) -> None:
        """Read the state from a folder that `save` wrote. The optimizer keeps its own settings.

        If the folder holds no averaged weights, `ema` starts as a copy of the network. Raise
        UserError if a file is broken or was written by another version of seq2seq.
        """
        try:
            counters = _read_counters(folder / _COUNTERS)
            moments = torch.load(folder / _OPTIMIZER, weights_only=True, map_location="cpu")
            load_weights(folder / _WEIGHTS, self.network)
            if self.ema is not None and (folder / _EMA).exists():
                load_weights(folder / _EMA, self.ema)
            elif self.ema is not None:  # averaging was switched on before this resume
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
            raise UserError(
                f"{folder}: the checkpoint cannot be read: {detail}; start a new run with --out"
            ) from None
        self.hidden = _read_hidden(folder / _HIDDEN)
        self.counters = counters

    def broadcast(self, ranks: Ranks) -> None:
        """Copy the state of rank 0 to all other ranks. Every rank must call this method."""
        if ranks.world_size == 1:
            return
        parts: list[Any] = [self.network, self.optimizer]
        if self.ema is not None:
            parts.append(self.ema)
        # On the CPU, because a pickled tensor names its device, which is rank 0's.
        states = [_copy_to_cpu(part.state_dict()) for part in parts] if ranks.is_first else []
        self.counters, self.hidden, states = ranks.broadcast((self.counters, self.hidden, states))
        if not ranks.is_first:
            for part, state in zip(parts, states, strict=True):
                part.load_state_dict(state)


def _save_tensors(path: Path, value: Any) -> None:
    """Write a value with torch.save. Raise OSError if the file cannot be written."""
    with name_in_errors(path):
        try:
            with path.open("wb") as file:  # torch's own writer does not say why it fails
                torch.save(value, file)
        except RuntimeError as error:
            raise OSError(errno.EIO, " ".join(str(error).split())[:200]) from None


def _read_counters(path: Path) -> Counters:
    """Read the counters of a checkpoint.

    Raise an exception listed in `_BROKEN` if the file is broken or comes from another version.
    """
    if not path.exists():
        raise ValueError(f"{path.name} is missing; another version of seq2seq wrote the checkpoint")
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if set(values) != {item.name for item in fields(Counters)}:
        raise ValueError(f"another version of seq2seq wrote {path.name}")
    try:
        return TypeAdapter(Counters).validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        key, message = error.errors()[0]["loc"][0], error.errors()[0]["msg"]
        raise ValueError(f"{path.name}: {key}: {message}") from None


def _read_hidden(path: Path) -> HiddenState | None:
    """Read the hidden state; None if none was saved. Raise UserError if the file is broken."""
    try:
        if not path.exists():
            return None
        hidden: HiddenState = torch.load(path, weights_only=True, map_location="cpu")
    except _BROKEN as error:
        raise UserError(
            f"{path}: the hidden state cannot be read: {error}; start a new run with --out"
        ) from None
    return hidden


def _copy_to_cpu(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: _copy_to_cpu(item) for key, item in value.items()}
    return [_copy_to_cpu(item) for item in value] if isinstance(value, list) else value
