"""A write that fails names the file, and nothing incomplete gets a final name."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.errors import UserError
from seq2seq.files import atomic_folder, delete_folder, locked_folder, name_in_errors, write_new
from seq2seq.text.dataset import Dataset
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.display import MetricsLog


class FullDisk:
    """Lets the writes to a file fail, as a full disk does: the error names no file."""

    def __init__(self, monkeypatch, name, mode="w"):
        plain, full = Path.open, mode

        def opened(path, mode="r", *rest, **named):
            stream = plain(path, mode, *rest, **named)
            if path.name == name and full in mode:
                os.dup2(os.open("/dev/full", os.O_WRONLY), stream.fileno())
            return stream

        monkeypatch.setattr(Path, "open", opened)


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    FullDisk(monkeypatch, "labels.txt")
    with pytest.raises(OSError, match="No space left") as caught, atomic_folder(tmp_path / "m"):
        write_new(next(tmp_path.glob(".m.*")) / "labels.txt", b"x")
    assert caught.value.filename == str(tmp_path / "m" / "labels.txt")
    assert list(tmp_path.iterdir()) == []


def test_a_full_device_and_a_full_stdout_are_named(subjects, shell):
    said = shell("tokenizer", "encode", subjects["model"], "-o", "/dev/full", stdin=b"the\n")
    assert said.err.startswith("error: /dev/full: No space left on device; check")
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "seq2seq", "--version"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith(b"error: stdout: No space left on device; check")


@pytest.mark.parametrize("name", ["optimizer.pt", "counters.json"])
def test_a_checkpoint_that_cannot_be_written_names_the_file(toy, tmp_path, monkeypatch, name):
    import torch

    from seq2seq.training.state import Counters, TrainState

    network = torch.nn.Linear(2, 2)
    state = TrainState(network, None, torch.optim.AdamW(network.parameters()))
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state)
    state.counters = Counters(update=1)
    FullDisk(monkeypatch, name)
    with pytest.raises(UserError) as caught:
        checkpoints.save(state)
    assert str(tmp_path / "update-00000001" / name) in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["update-00000000"]


def test_counters_with_wrong_values_are_refused(tmp_path):
    import torch

    from seq2seq.training.state import TrainState

    network = torch.nn.Linear(2, 2)
    state = TrainState(network, None, torch.optim.AdamW(network.parameters()))
    state.save(tmp_path)
    path = tmp_path / "counters.json"
    content = path.read_text()
    for wrong in ('"update": "many"', '"update": null', '"update": 1.5', '"update": [[]]'):
        path.write_text(content.replace('"update": 0', wrong))
        with pytest.raises(UserError, match=r"counters\.json: update"):
            state.load(tmp_path)
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="cannot be read"):
        state.load(tmp_path)


def test_data_that_cannot_be_mapped_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "train.arrow"
    with pytest.raises(FileNotFoundError) as caught:
        Dataset.open(path)
    assert caught.value.filename == str(path)

    for damaged in (b"", b"ARROW1" + b"x" * 99):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"train\.arrow: the prepared data is damaged"):
            Dataset.open(path)

    def full(*_):
        raise OSError("Memory mapping file failed: No space left on device")

    monkeypatch.setattr("pyarrow.memory_map", full)
    with pytest.raises(OSError, match="mapping file failed") as caught:
        Dataset.open(path)
    assert caught.value.filename == str(path)
    assert caught.value.errno is not None  # the command line then prints one line


def test_rows_that_cannot_be_written_name_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "metrics.jsonl"
    FullDisk(monkeypatch, path.name, mode="a")
    log = MetricsLog(path, 0)
    monkeypatch.setattr(os, "fsync", full)
    for write in (log.sync, lambda: log.append({"kind": "train"}), log.close):
        with pytest.raises(OSError, match="No space left") as caught:
            write()
        assert caught.value.filename == str(path)


def test_an_old_folder_goes_by_rename_first(tmp_path, monkeypatch):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "file").touch()
    seen = []
    monkeypatch.setattr(
        "shutil.rmtree", lambda path, **options: seen.append((path.name, path.exists()))
    )
    delete_folder(tmp_path / "old")
    assert not (tmp_path / "old").exists()
    assert seen[0][0].startswith(".old.")
    assert seen[0][1]


def test_leftovers_of_preparing_are_deleted_before_the_data_is_prepared(
    toy, tmp_path, no_picture, monkeypatch
):
    from seq2seq.text import preparation
    from seq2seq.training.run_training import train_model

    run = tmp_path / "run"
    for number in range(3):
        (run / f".data.host-{number}.part").mkdir(parents=True)

    def prepare(*rest, **named):
        raise UserError("stop here")

    monkeypatch.setattr(preparation, "prepare_data", prepare)
    with pytest.raises(UserError, match="stop here"):
        train_model(toy.config(), run)
    assert not run.exists() or list(run.iterdir()) == []


def test_the_entry_of_a_new_folder_is_synced(tmp_path, monkeypatch):
    synced = []
    plain = os.fsync

    def fsync(descriptor):
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        plain(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with locked_folder(tmp_path / "a" / "b", "in use"):
        pass
    assert set(synced) == {str(tmp_path), str(tmp_path / "a")}


def test_an_error_of_syncing_the_entry_names_the_new_folder(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="full") as caught, locked_folder(tmp_path / "a", "in use"):
        pass
    assert caught.value.filename == str(tmp_path / "a")


def test_an_error_that_names_a_file_keeps_it():
    with pytest.raises(OSError, match="other") as caught, name_in_errors(Path("mine")):
        raise OSError(errno.EIO, "broken", "other")
    assert caught.value.filename == "other"
