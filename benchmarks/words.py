"""Compare the speed of seq2seq with that of yoyodyne 0.5.27 on letters to sounds, on one thread.

    benchmarks/yoyodyne.sh g2p dut
    recipes/g2p/run.sh medium dut && seq2seq export runs/g2p/medium-dut/model -o dut-export
    python benchmarks/words.py dut dut-export [KEY=VALUE...]

The languages are those of the medium variant. In turns, both programs translate the words of the
training set by greedy search, and train on its first 2,000 words. A speed is a number of words
divided by the CPU time that these words add, so that starting a program does not count: decoding
compares all words with the first word alone, and training compares three epochs with one. Training
validates on the first ten words. KEY=VALUE changes recipes/g2p/medium.toml, and must be the
settings of the model.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

Command = list[str | Path]
LEARNED = 2_000  # words
ROOT = Path(__file__).resolve().parent.parent
PEER: Command = [ROOT / "local/yoyodyne/bin/python", ROOT / "benchmarks/yoyodyne_task.py"]
SEQ2SEQ: Command = [sys.executable, "-m", "seq2seq"]


def cpu_seconds(command: Command) -> float:
    """Return the CPU time of a command that may use one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        said.seek(0)
        assert status == 0, said.read()[-2000:].decode()
    return usage.ru_utime + usage.ru_stime


class Ours:
    """seq2seq: an export, and the training of a configuration."""

    name = "seq2seq"

    def __init__(self, export: Path, settings: list[str], folder: Path) -> None:
        self.export, self.folder = export, folder
        changes = [f"data.{split}={folder / split}.tsv" for split in ("train", "valid")]
        changes += ["training.threads=1", "validation.every=1000000", *settings]
        self.changes = [word for change in changes for word in ("--set", change)]

    def words(self, rows: list[str]) -> Path:
        """Write a file with the words of these rows."""
        path = self.folder / "words.txt"
        path.write_text("".join(row.split("\t")[0] + "\n" for row in rows), encoding="utf-8")
        return path

    def translate(self, words: Path) -> Command:
        out = self.folder / "ours"
        options: Command = ["--beam", "1", "--threads", "1", "-q", "-o", out]
        return [*SEQ2SEQ, "translate", self.export, words, *options]

    def train(self, epochs: int) -> Command:
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        config = ROOT / "recipes/g2p/medium.toml"
        more = ["--set", f"training.epochs={epochs}", "-q", "--out", self.folder / "run"]
        return [*SEQ2SEQ, "train", config, *self.changes, *more]


class Yoyodyne:
    """yoyodyne: what benchmarks/yoyodyne.sh has trained for the language, and its settings."""

    name = "yoyodyne"

    def __init__(self, language: str, folder: Path) -> None:
        self.home = ROOT / f"local/yoyodyne-g2p/{language}-SoftAttentionLSTM"
        self.folder = folder

    def words(self, rows: list[str]) -> Path:
        """Write a file with these rows."""
        path = self.folder / "rows.tsv"
        path.write_text("".join(rows), encoding="utf-8")
        return path

    def translate(self, words: Path) -> Command:
        return [*PEER, "translate", self.home, words, self.folder / "theirs"]

    def train(self, epochs: int) -> Command:
        run = self.folder / "peer"
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        settings = (self.home / "settings.json").read_text(encoding="utf-8")
        for before, after in (
            (self.home / "model", run / "model"),
            (self.home / "train.tsv", self.folder / "train.tsv"),
            (self.home / "dev.tsv", self.folder / "valid.tsv"),
        ):
            settings = settings.replace(str(before), str(after))
        return [*PEER, "train", run, "--epochs", str(epochs), *json.loads(settings)]


def main() -> None:
    """Measure both programs in turns and print the medians and their ratios."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("language", help="A medium language, such as dut.")
    parser.add_argument("export", type=Path, help="Export of our model of that language.")
    parser.add_argument("settings", nargs="*", help="KEY=VALUE, changes medium.toml.")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        peer = Yoyodyne(arguments.language, Path(name))
        ours = Ours(arguments.export, arguments.settings, Path(name))
        rows = (peer.home / "train.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
        for split, part in (("train", rows[:LEARNED]), ("valid", rows[:10])):
            (Path(name) / f"{split}.tsv").write_text("".join(part), encoding="utf-8")
        found: dict[tuple[str, str], list[float]] = defaultdict(list)
        for _ in range(arguments.rounds):
            for system in (ours, peer):
                seconds = [
                    cpu_seconds(system.translate(system.words(some))) for some in (rows[:1], rows)
                ]
                found["decoded", system.name].append((len(rows) - 1) / (seconds[1] - seconds[0]))
                seconds = [cpu_seconds(system.train(epochs)) for epochs in (1, 3)]
                found["learned", system.name].append(2 * LEARNED / (seconds[1] - seconds[0]))
    for what in ("decoded", "learned"):
        for name in (Ours.name, Yoyodyne.name):
            each = " ".join(f"{speed:,.0f}" for speed in found[what, name])
            speed = statistics.median(found[what, name])
            print(f"{name} {what} {speed:,.0f} words a CPU second ({each})")
        ratio = statistics.median(found[what, Ours.name]) / speed
        print(f"{what}: {ratio:.1f} times as many words as yoyodyne")


if __name__ == "__main__":
    main()
