"""Train yoyodyne 0.5.27, or translate with it, in yoyodyne's own environment.

    python benchmarks/yoyodyne_task.py train FOLDER SETTINGS... [--minutes N] [--epochs N]
    python benchmarks/yoyodyne_task.py translate FOLDER INPUT OUTPUT

FOLDER holds the data, and gets the checkpoints and the settings. `train` stops after N minutes of
CPU time, or after N epochs. `translate` uses the checkpoint with the best accuracy on dev, and the
settings of the training. benchmarks/yoyodyne.sh and benchmarks/words.py start this program.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from types import SimpleNamespace

import torch
from lightning.pytorch.callbacks import timer
from yoyodyne.cli import main as yoyodyne

BATCH = 32
QUIET = ["--trainer.enable_progress_bar=false", "--trainer.accelerator=cpu"]


def train(folder: Path, settings: list[str], minutes: int, epochs: int) -> None:
    """Train, and print the words learned a second of CPU time."""
    timer.time = SimpleNamespace(monotonic=time.process_time)  # max_time limits the CPU time
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    yoyodyne.python_interface(
        [
            "fit",
            *settings,
            *QUIET,
            "--seed_everything=1",
            f"--data.batch_size={BATCH}",
            f"--trainer.max_time=00:00:{minutes:02d}:00",
            f"--trainer.max_epochs={epochs}",
            "--trainer.gradient_clip_val=3",
            "--trainer.logger=lightning.pytorch.loggers.CSVLogger",
            "--checkpoint.monitor=val_accuracy",
            "--checkpoint.mode=max",
            "--checkpoint.save_last=true",
        ]
    )
    used = resource.getrusage(resource.RUSAGE_SELF)
    (last,) = folder.glob("model/**/last.ckpt")
    words = torch.load(last, weights_only=False)["global_step"] * BATCH
    print(f"learned {words:,} words: {words / (used.ru_utime + used.ru_stime):.0f} a CPU second")


def translate(folder: Path, source: str, output: str) -> None:
    """Translate the file `source` by greedy search, the default of yoyodyne."""
    (checkpoint,) = folder.glob("model/**/epoch=*.ckpt")
    yoyodyne.python_interface(
        [
            "predict",
            *json.loads((folder / "settings.json").read_text(encoding="utf-8")),
            *QUIET,
            f"--data.batch_size={BATCH}",
            f"--data.predict={source}",
            f"--prediction.path={output}",
            f"--ckpt_path={checkpoint}",
            "--trainer.logger=false",
        ]
    )


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["train", "translate"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=int, default=59)
    parser.add_argument("--epochs", type=int, default=10_000)
    arguments, rest = parser.parse_known_args()
    if arguments.command == "train":
        train(arguments.folder, rest, arguments.minutes, arguments.epochs)
    else:
        translate(arguments.folder, *rest)


if __name__ == "__main__":
    main()
