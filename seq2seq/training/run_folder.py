"""A run folder: its lock, its contents, and the checks before a run starts or resumes.

A run folder contains config.toml, data/, checkpoints/, model/, metrics.jsonl, starts.jsonl,
curves.png, after `seq2seq train --profile` profile.txt, and after `seq2seq train --from`
origin.json.
"""

from __future__ import annotations

import json
import logging
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
from seq2seq.errors import UserError, file_error
from seq2seq.evaluation.provenance import current_commit, describe_hardware
from seq2seq.files import atomic_file, finish_interrupted_swap, locked_folder
from seq2seq.jsonl import append_line, read_jsonl
from seq2seq.training.start import ORIGIN_FILE, Origin

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)

# The keys of [validation] that change what the best score means.
_JUDGING = ("metric", "set", "tokenize", "beam", "lines")
STARTS_FILE = "starts.jsonl"  # one line for each start or resume of the run


def default_folder(config: Path) -> Path:
    """Return the default run folder of a configuration file: runs/<its folder>/<its name>."""
    return Path("runs") / config.resolve().parent.name / config.stem


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Create a run folder and lock it against other processes, as a context manager.

    When the lock is released, the folder is deleted if it is still empty.

    Raise UserError if another process holds the lock. If the file system does not support locks,
    the folder is used without a lock.
    """
    problem = (
        "another process is training in this folder; wait until the process ends, or choose "
        "another folder with --out"
    )
    with locked_folder(folder, problem):
        try:
            yield
        finally:  # only with the lock, because another process may have just created the folder
            with suppress(OSError):
                folder.rmdir()


class RunFolder:
    """The paths of the files and folders in a run folder."""

    def __init__(self, folder: Path, config: Config, *, resume: bool) -> None:
        """Check that the run can start or resume in the folder.

        Raise UserError in these cases:
        - The folder holds a run, but `resume` is false.
        - The folder holds a run with other data or another architecture.
        - The folder holds a model, but no checkpoint to resume from.
        - The folder holds other files.
        """
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
                    f"{folder} already holds a run; add --resume to continue the run, or "
                    "choose another folder with --out"
                )
            _refuse_another(config, written)
            if self.model.exists() and not self.checkpoints.exists():
                raise UserError(
                    f"{folder} holds a model but no checkpoint to resume from; choose another "
                    "folder with --out"
                )
        elif folder.exists() and any(
            p.name not in ("data", ORIGIN_FILE) and p not in _leftovers(folder)
            for p in folder.iterdir()
        ):
            raise UserError(
                f"{folder} is not empty and holds no run; choose another folder with --out"
            )
        elif resume:
            _log.info("%s holds no run yet; starting a new run", folder)

    @property
    def has_checkpoint(self) -> bool:
        """Whether the folder holds a checkpoint to resume from."""
        return any(self.checkpoints.glob("update-*"))

    def create(self, config: Config, origin: Origin | None = None) -> None:
        """Write config.toml, which marks the folder as a run folder.

        origin: the model that the run starts from, which is recorded in origin.json.
        """
        if origin is not None:
            origin.save(self.folder)
        with atomic_file(self.folder / "config.toml") as aside:
            aside.write_text(toml.dump_config(config), encoding="utf-8")
        self.checkpoints.mkdir(exist_ok=True)

    def delete_leftovers(self) -> None:
        """Delete partial files that killed runs left. Call this only while you hold the lock."""
        for left in [*_leftovers(self.folder), *_leftovers(self.checkpoints)]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def record_start(self, device: torch.device) -> None:
        """Append the hardware and the git commit of this start or resume to starts.jsonl."""
        start = {"hardware": describe_hardware(device), "commit": current_commit(Path.cwd())}
        append_line(self.starts, json.dumps(start))


@dataclass(frozen=True)
class RunRecord:
    """Facts about a run, read from its folder <recipe>/<variant>[-seed-<n>].

    recipe: name of the parent folder.
    variant: name of the run folder, without the seed.
    minutes: training time; None if the log does not contain it.
    last_start: hardware and git commit of the last start or resume; None if unknown.
    """

    recipe: str
    variant: str
    minutes: float | None
    last_start: dict[str, Any] | None


def read_run_record(folder: Path) -> RunRecord:
    """Return the facts about a run that its folder records.

    A log that is missing or cannot be opened is skipped. Raise UserError if a log is broken.
    """

    def last(name: str) -> dict[str, Any] | None:
        log = folder / name
        try:
            rows = read_jsonl(log, growing=True) if log.exists() else []
        except UserError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            _log.warning("%s", error)
            rows = []
        return rows[-1][1] if rows else None

    metrics = last("metrics.jsonl")
    return RunRecord(
        recipe=folder.parent.name,
        variant=re.sub(r"-seed-\d+$", "", folder.name),
        minutes=float(metrics["minutes"]) if metrics else None,
        last_start=last(STARTS_FILE),
    )


def _leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".*.part"))


def _refuse_another(config: Config, written: Path) -> None:
    """Raise UserError if the run cannot be resumed with `config`.

    The weights learned so far fit only one data set and one architecture, so the data set and the
    architecture must stay the same. Most training settings may change.
    written: the path of the run's config.toml.
    """
    try:
        parsed = toml.read_config(written)
    except OSError as error:
        raise file_error("read", written, error) from None
    old = tomllib.loads(toml.dump_config(parsed))
    new = tomllib.loads(toml.dump_config(config))
    sections = ("task", "seed", "data", "tokenizer", "encoder", "context", "decoder")
    # The saved optimizer state fits one kind of optimizer. The best score so far can only be
    # compared with scores of the same metric, set, tokenizer, beam and lines.
    keys = {"training.optimizer", *(f"validation.{name}" for name in _JUDGING)}
    # The files may have moved. Their content is compared when the data is prepared.
    paths = ("data.train", "data.valid", "data.test", "tokenizer.model")
    differ = _differences(old, new)
    refused = [
        text
        for key, text in differ.items()
        if key in keys or (key.split(".")[0] in sections and not key.startswith(paths))
    ]
    if refused:
        raise UserError(
            f"{written.parent} cannot be resumed with these changes: {', '.join(refused)}; "
            "undo the changes, or start another run with --out"
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
            differences[prefix + key] = f"{prefix}{key} was {was!r}, is now {now!r}"
    return differences
