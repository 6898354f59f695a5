"""A run folder: who may write into it, and what it holds.

config.toml  data/  checkpoints/  model/  metrics.jsonl  starts.jsonl  curves.png  (profile.txt)
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.errors import UserError
from seq2seq.evaluation.provenance import current_commit, describe_hardware
from seq2seq.files import append_line, atomic_file, finish_interrupted_swap, read_jsonl

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

STARTS_FILE = "starts.jsonl"  # of a run, one line each time that it began or went on


def default_folder(config: Path) -> Path:
    """Where the run of a configuration file goes: runs/<its folder>/<its name>."""
    return Path("runs") / config.resolve().parent.name / config.stem


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run folder, which is made, and left only if something is in it.

    Raises UserError where another process is in. A file system that has no locks keeps nobody out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{folder}: another process is training here: wait until it ends, or name "
                    "another folder with --out"
                ) from None
        try:
            yield
        finally:  # by the one that held it alone: another's may be empty still
            with suppress(OSError):
                folder.rmdir()
    finally:
        os.close(held)


class RunFolder:
    """Paths of a run, opened for a new one or to go on with one."""

    def __init__(self, folder: Path, config: Config, *, resume: bool) -> None:
        """Raises UserError where the folder holds another run, one of another architecture, or one
        that can no longer be gone on with."""
        self.folder = folder
        self.data = folder / "data"
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.metrics = folder / "metrics.jsonl"
        self.starts = folder / STARTS_FILE
        self.curves = folder / "curves.png"
        self.profile = folder / "profile.txt"
        written = folder / "config.toml"
        for place in (folder, self.checkpoints):
            finish_interrupted_swap(place)
        if written.exists():
            if not resume:
                raise UserError(
                    f"{folder} holds a run already: add --resume to go on with it, "
                    "or name another folder with --out"
                )
            _refuse_another(config, written)
            if self.model.exists() and not self.checkpoints.exists():
                raise UserError(
                    f"{folder} holds a model, and no checkpoints to go on from: name another "
                    "folder with --out"
                )
        elif folder.exists() and any(
            p.name != "data" and p not in _leftovers(folder) for p in folder.iterdir()
        ):
            raise UserError(f"{folder} is not empty and holds no run: name another with --out")
        elif resume:
            _log.info("%s holds no run yet: starting one", folder)

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(self.checkpoints.glob("update-*"))

    def create(self, config: Config) -> None:
        """Write the configuration down: from here on the folder holds a run."""
        with atomic_file(self.folder / "config.toml") as aside:
            aside.write_text(toml.dump_config(config), encoding="utf-8")
        self.checkpoints.mkdir(exist_ok=True)
        for left in [*_leftovers(self.folder), *_leftovers(self.checkpoints)]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def record_start(self, device: torch.device) -> None:
        """Write down on what, and at which commit, the training begins or goes on."""
        start = {"hardware": describe_hardware(device), "commit": current_commit(Path.cwd())}
        append_line(self.starts, json.dumps(start))


@dataclass(frozen=True)
class RunRecord:
    """What a run folder says of its training; a folder is named <recipe>/<variant>[-seed-<n>].

    minutes: how long it was trained, None where its log does not say. last_start: the hardware and
    the commit of the last time that it was started or resumed, where they are known.
    """

    recipe: str
    variant: str
    minutes: float | None
    last_start: dict[str, Any] | None


def read_run_record(folder: Path) -> RunRecord:
    """The record of a run folder, or of what is left of one. Raises UserError for a broken log."""

    def last(name: str) -> dict[str, Any] | None:
        log = folder / name
        rows = read_jsonl(log, growing=True) if log.exists() else []
        return rows[-1][1] if rows else None

    metrics = last("metrics.jsonl")
    return RunRecord(
        recipe=folder.parent.name,
        variant=re.sub(r"-seed-\d+$", "", folder.name),
        minutes=float(metrics["minutes"]) if metrics else None,
        last_start=last(STARTS_FILE),
    )


def _leftovers(folder: Path) -> list[Path]:
    """What a run that was killed had begun to write."""
    return list(folder.glob(".*.part"))


def _refuse_another(config: Config, written: Path) -> None:
    """What was learned so far fits one data set and one architecture; how to train may change."""
    try:
        old = tomllib.loads(written.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{written}: cannot be read as TOML: {error}") from None
    # An older run may have written older keys.
    parsed = toml.parse_config(old, str(written), needs_files=False)
    old = tomllib.loads(toml.dump_config(parsed))
    new = tomllib.loads(toml.dump_config(config))
    sections = ("task", "seed", "data", "tokenizer", "encoder", "context", "decoder")
    # The optimiser's state is of its kind, and the best score so far was found in one way.
    keys = {"training.optimizer", *(f"validation.{name}" for name in ("metric", "beam", "lines"))}
    # Where the files lie may change; what is in them is asked of the prepared data.
    paths = {"data.train", "data.valid", "data.test"}
    differ = _differences(old, new)
    refused = [
        text
        for key, text in differ.items()
        if key in keys or (key.split(".")[0] in sections and key not in paths)
    ]
    if refused:
        raise UserError(
            f"{written.parent} cannot be resumed with another configuration: {', '.join(refused)}; "
            "set them back, or begin another run with --out"
        )
    for text in differ.values():
        _log.info("resumed with a changed setting: %s", text)


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, str]:
    differences: dict[str, str] = {}
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            differences.update(_differences(was, now, f"{prefix}{key}."))
        elif was != now:
            differences[prefix + key] = f"{prefix}{key} was {was!r}, is {now!r}"
    return differences
