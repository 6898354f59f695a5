"""Trains from Python: what `seq2seq train` does, with data in memory and callbacks."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text.memory import MemoryData, TrainingData
from seq2seq.training.callbacks import Callback, require_callbacks
from seq2seq.training.run_folder import default_folder
from seq2seq.training.run_training import TrainingResult, train_model
from seq2seq.training.stopping import Interrupted

_log = logging.getLogger(__name__)

# Of this process: torch has one random generator, which two runs would disturb for each other.
_TRAINING = threading.RLock()


def train(
    config: str | Path | Mapping[str, Any] | Config,
    train: TrainingData | None = None,
    valid: TrainingData | None = None,
    test: TrainingData | None = None,
    *,
    out: str | Path | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    profile: bool = False,
    settings: Iterable[str] = (),
) -> TrainingResult:
    """Train a model, from files or from data in memory.

    config: the path of a TOML file, a dictionary of the same form, or a `Config`. In a dictionary,
    paths are looked up from the working directory. settings: `section.key=value`, laid over a file.

    train, valid, test: data in memory, instead of what the configuration names. Each is a list of
    pairs (source, target), a list of texts for a language model, or a `datasets.Dataset` (or a list
    of dictionaries) with the columns that the configuration names. A tagger's words and labels may
    be lists of strings, a generator's vector a list of numbers. test is not learned from: training
    pairs that are also in it are counted, with a warning.

    out: the run's folder; for a configuration file, runs/<its folder>/<its name> if None. resume:
    go on with the run that the folder holds. profile: write profile.txt there.

    Works in any thread. Where several threads train, one waits for the other. In the main thread,
    Ctrl-C saves the run and raises KeyboardInterrupt, and SIGTERM saves it and raises SystemExit.

    Raises UserError for mistakes in the configuration or the data, and for a run that cannot be
    begun or resumed in the folder; TypeError for arguments of another type.
    """
    require_callbacks(callbacks)
    loaded = _as_config(config, settings, needs_files=train is None)
    folder = _folder(config, out)
    memory = MemoryData(loaded, {"train": train, "valid": valid, "test": test})
    with _one_at_a_time():
        try:
            return train_model(
                loaded,
                folder,
                resume=resume,
                profiled=profile,
                memory=memory,
                callbacks=callbacks,
            )
        except Interrupted as stop:
            if stop.number == signal.SIGINT:
                raise KeyboardInterrupt(str(stop)) from None
            raise SystemExit(128 + stop.number) from None


def _as_config(config: object, settings: Iterable[str], *, needs_files: bool) -> Config:
    if isinstance(config, str | os.PathLike):
        return toml.load_config(Path(config), settings, needs_files=needs_files)
    if any(True for _ in settings):
        raise TypeError("settings are for a configuration file: change the configuration itself")
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        values = deepcopy(dict(config))
        checked = toml.parse_config(values, "the configuration", needs_files=needs_files)
        return toml.find_files(checked, Path())
    raise TypeError(
        f"config is {type(config).__name__}: give the path of a TOML file, a dictionary or a Config"
    )


def _folder(config: object, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if isinstance(config, str | os.PathLike):
        return default_folder(Path(config))
    raise UserError("name the folder of the run: out='runs/...'")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _TRAINING.acquire(blocking=False):
        _log.info("waiting for the training in another thread")
        _TRAINING.acquire()
    try:
        yield
    finally:
        _TRAINING.release()
