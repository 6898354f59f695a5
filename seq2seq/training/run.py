"""A run folder: who may write into it, and what it holds.

config.toml  data/  checkpoints/  model/  metrics.jsonl  curves.png  (profile.txt)
"""

from __future__ import annotations

import logging
import shutil
import tomllib
from pathlib import Path
from typing import Any

from seq2seq import config_file
from seq2seq.config import Config
from seq2seq.errors import UserError
from seq2seq.files import whole_file

log = logging.getLogger(__name__)


class Run:
    """Paths of a run, opened for a new one or to go on with one."""

    def __init__(self, folder: Path, config: Config, *, resume: bool) -> None:
        """Raises UserError where the folder holds another run, or one of another architecture."""
        self.folder = folder
        self.data = folder / "data"
        self.checkpoints = folder / "checkpoints"
        self.model = folder / "model"
        self.metrics = folder / "metrics.jsonl"
        self.curves = folder / "curves.png"
        self.profile = folder / "profile.txt"
        written = folder / "config.toml"
        if written.exists():
            if not resume:
                raise UserError(
                    f"{folder} holds a run already: add --resume to go on with it, "
                    "or name another folder with --out"
                )
            _refuse_another(config, written)
        elif folder.exists() and any(
            p.name != "data" and p not in _leftovers(folder) for p in folder.iterdir()
        ):
            raise UserError(f"{folder} is not empty and holds no run: name another with --out")
        elif resume:
            log.info("%s holds no run yet: starting one", folder)

    @property
    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(self.checkpoints.glob("update-*"))

    def begin(self, config: Config) -> None:
        """Write the configuration down: from here on the folder holds a run."""
        with whole_file(self.folder / "config.toml") as aside:
            aside.write_text(config_file.dumps(config), encoding="utf-8")
        self.checkpoints.mkdir(exist_ok=True)
        for left in [*_leftovers(self.folder), *_leftovers(self.checkpoints)]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _leftovers(folder: Path) -> list[Path]:
    """What a run that was killed had begun to write."""
    return list(folder.glob(".*.part"))


def _refuse_another(config: Config, written: Path) -> None:
    """What was learned so far fits one data set and one architecture; how to train may change."""
    try:
        old = tomllib.loads(written.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{written}: cannot be read as TOML: {error}") from None
    new = tomllib.loads(config_file.dumps(config))
    sections = ("shape", "seed", "data", "tokenizer", "encoder", "context", "decoder")
    # The optimiser's state is of its kind, and the best score so far is one of its metric.
    keys = ("training.optimizer", "validation.metric")
    differ = _differences(old, new)
    refused = [text for key, text in differ.items() if key in keys or key.split(".")[0] in sections]
    if refused:
        raise UserError(
            f"{written.parent} cannot be resumed with another configuration: " + ", ".join(refused)
        )
    for text in differ.values():
        log.info("resumed with a changed setting: %s", text)


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for key in sorted(old.keys() | new.keys()):
        was, now = old.get(key), new.get(key)
        if isinstance(was, dict) and isinstance(now, dict):
            found.update(_differences(was, now, f"{prefix}{key}."))
        elif was != now:
            found[prefix + key] = f"{prefix}{key} was {was!r}, is {now!r}"
    return found
