"""The function `train`, the counterpart of `seq2seq train` for Python programs."""

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
from seq2seq.config.base import Base
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.text.memory import MemoryData, TrainingData
from seq2seq.training.callbacks import Callback, require_callbacks
from seq2seq.training.run_folder import default_folder
from seq2seq.training.run_training import TrainingResult, train_model
from seq2seq.training.start import open_start
from seq2seq.training.stopping import Interrupted

_log = logging.getLogger(__name__)

# One lock per process: torch has one random generator, so two runs would disturb each other.
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
    start_from: str | Path | None = None,
) -> TrainingResult:
    """Train a model, from files or from data in memory.

    config: the path of a TOML file, a dictionary of the same form, or a `Config`. Paths in a
        dictionary are relative to the working directory.
    train, valid, test: data in memory, instead of the files in the configuration. Each is a list of
        pairs (source, target), a list of texts for a language model, or a `datasets.Dataset`, a
        table of pandas or a list of dictionaries with the configured columns. Words, labels and
        vectors may be lists of strings or numbers. The test set is not used for training. A warning
        says how many training pairs are also in the test set.
    out: the run folder. The default for a configuration file is runs/<its folder>/<its name>.
    callbacks: the objects that receive each row of the log and may stop the run.
    resume: continue the run that the folder holds.
    profile: measure the time of some updates and write profile.txt into the run folder.
    settings: changes to a configuration file, each as `section.key=value`.
    start_from: a model folder whose weights and vocabulary the run starts from. Keys of the
        tokenizer and the network that `config` does not set have the values of that model.

    The function works in any thread. If several threads train, their runs follow one after another.
    In the main thread, Ctrl-C saves the run and raises KeyboardInterrupt, and SIGTERM saves the run
    and raises SystemExit.

    Raise UserError if the configuration or the data is wrong, if the run cannot start or resume in
    the folder, or if the model to start from has another network. Raise TypeError if an argument
    has a wrong type.
    """
    require_callbacks(callbacks)
    folder = _folder(config, out)
    start = open_start(start_from, folder, resume=resume)
    base = None if start is None else start.base
    loaded = _as_config(config, settings, needs_files=train is None, base=base)
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
                start=start,
            )
        except Interrupted as stop:
            if stop.number == signal.SIGINT:
                raise KeyboardInterrupt(str(stop)) from None
            raise SystemExit(128 + stop.number) from None


def _as_config(
    config: object,
    settings: Iterable[str],
    *,
    needs_files: bool,
    base: Base | None,
) -> Config:
    """Return the configuration that the argument `config` of `train` stands for.

    base: the values of the model that the run starts from, for the keys that `config` does not set.
    """
    if isinstance(config, str | os.PathLike):
        return toml.load_config(Path(config), settings, needs_files=needs_files, base=base)
    if any(True for _ in settings):
        raise TypeError(
            "the argument settings works only with a configuration file; change the "
            "values in config instead"
        )
    if isinstance(config, Config):
        if base is None:
            return config
        config = config.model_dump(mode="json", exclude_unset=True)
    if isinstance(config, Mapping):
        values = deepcopy(dict(config))
        checked = toml.parse_config(values, "the configuration", needs_files=needs_files, base=base)
        return toml.find_files(checked, Path())
    raise TypeError(
        "config must be the path of a TOML file, a dictionary or a Config, "
        f"not {type(config).__name__}"
    )


def _folder(config: object, out: str | Path | None) -> Path:
    if out is not None:
        return Path(out)
    if isinstance(config, str | os.PathLike):
        return default_folder(Path(config))
    raise UserError("out is missing; give the run folder, for example out='runs/my-run'")


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _TRAINING.acquire(blocking=False):
        _log.info("waiting for another thread to finish its training")
        _TRAINING.acquire()
    try:
        yield
    finally:
        _TRAINING.release()
