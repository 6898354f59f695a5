"""The commands that are disturbed, and what must hold of the files that they leave."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fault_driver import Driver, Ending

import seq2seq
from seq2seq.files import sha256_of

_TINY = {
    "encoder.hidden": 8,
    "encoder.dropout": 0.2,
    "decoder.hidden": 16,
    "tokenizer.vocabulary": 300,
    "training.updates": 4,
    "training.batch_tokens": 200,
    "training.word_dropout": 0.1,
    "training.ema_decay": 0.9,
    "training.log_every": 2,
    "validation.every": 2,
    "validation.metric": "loss",
    "validation.lines": 5,
}
_TIMES = ("seconds", "window_start", "minutes", "tokens_per_second")
_MODEL_FILES = ("model.safetensors", "config.toml", "tokenizer.model")


def _without_times(text: str) -> dict[str, Any]:
    return {key: value for key, value in json.loads(text).items() if key not in _TIMES}


def _visible(folder: Path) -> list[str]:
    """The names of the files and folders that are not temporary."""
    if not folder.exists():
        return []
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@dataclass(frozen=True)
class Command:
    """A command to disturb.

    arguments: for a given folder, which it may change.
    prepare: puts what is there before the command into the folder.
    left: what the command leaves, without times. Raises an error for an incomplete file.
    again: the arguments of a command that does the rest after a disturbance.
    """

    name: str
    arguments: Callable[[Path], list[Any]]
    prepare: Callable[[Path], object]
    left: Callable[[Path], object]
    again: Callable[[Path], list[Any]]

    def results(self, driver: Driver, folder: Path) -> list[object]:
        """Return what is there before the command, and what the undisturbed command leaves."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.prepare(folder)
        before = None if self.name == "train" else self.left(folder)
        ended = self.start(driver, folder)
        assert ended.code == 0, ended.err
        return [before, self.left(folder)]

    def start(self, driver: Driver, folder: Path, **disturbance: Any) -> Ending:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.prepare(folder)
        return driver.run(self.arguments(folder), folder, **disturbance)

    def wrong(self, driver: Driver, folder: Path, allowed: list[object]) -> str | None:
        """Return what is wrong after a disturbance, or None.

        The folder must hold one of the allowed results or none, and the command that does the rest
        must end with the last of the allowed results.
        """
        try:
            if self.name != "train" and self.left(folder) not in [*allowed, None]:
                return "something incomplete has a final name"
        except Exception as error:
            return f"something incomplete has a final name: {error!r}"
        ended = driver.run(self.again(folder), folder)
        if ended.code:
            return f"the next command fails: {ended.err}"
        if self.left(folder) != allowed[-1]:
            return "the next command ends differently"
        leftovers = [path.name for path in folder.rglob(".*.part")]
        return f"the next command does not delete {leftovers}" if leftovers else None


def train(toy: Any, *, more: tuple[str, ...] = ()) -> Command:
    settings = [part for key, value in _TINY.items() for part in ("--set", f"{key}={value}")]
    settings += [part for setting in more for part in ("--set", setting)]

    def arguments(folder: Path) -> list[Any]:
        return ["train", toy.path, "--out", folder / "run", *settings]

    def left(folder: Path) -> object:
        run = folder / "run"
        (checkpoint,) = (run / "checkpoints").glob("update-*")
        rows = (run / "metrics.jsonl").read_text().splitlines()
        seq2seq.load(run / "model", device="cpu")
        assert not [path for path in run.rglob(".*") if path.name.endswith((".part", ".old"))]
        return {
            "visible": [name for name in _visible(run) if name != "curves.png"],
            "counters": _without_times((checkpoint / "counters.json").read_text()),
            "rows": [_without_times(row) for row in rows],
            "checkpoint": [sha256_of(path) for path in sorted(checkpoint.glob("*.safetensors"))],
            "model": [sha256_of(run / "model" / name) for name in _MODEL_FILES],
        }

    def again(folder: Path) -> list[Any]:
        return [*arguments(folder), "--resume"]

    return Command("train", arguments, lambda folder: None, left, again)


def export(model: Path, before: Path) -> Command:
    """Write an export in the place of another one."""

    def left(folder: Path) -> object:
        if not _visible(folder):
            return None
        assert _visible(folder) == ["export"]
        seq2seq.load(folder / "export", device="cpu")
        return {path.name: sha256_of(path) for path in (folder / "export").iterdir()}

    def arguments(folder: Path) -> list[Any]:
        return ["export", model, "-o", folder / "export"]

    return Command(
        "export",
        arguments,
        lambda folder: shutil.copytree(before, folder / "export"),
        left,
        arguments,
    )


def translate(model: Path, text: Path) -> Command:
    def arguments(folder: Path) -> list[Any]:
        options = ["--device", "cpu", "--threads", 1, "--beam", 1, "--batch-size", 4]
        return ["translate", model, text, "-o", folder / "out", *options]

    def left(folder: Path) -> object:
        path = folder / "out"
        return path.read_text() if path.exists() else None

    return Command(
        "translate -o",
        arguments,
        lambda folder: (folder / "out").write_text("old\n"),
        left,
        arguments,
    )
