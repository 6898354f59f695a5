"""A model folder that another user keeps to himself costs one line."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seq2seq.decoding.load import load
from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.models.folder import load_model, load_model_config

_NOBODY = 65534


@pytest.fixture
def folder(trained: Path) -> Iterator[Path]:
    """A model folder where every user may go, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        yield Path(shutil.copytree(trained / "model", Path(place) / "model"))


@contextmanager
def another_user() -> Iterator[None]:
    """Root may read everything, so be somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


_PIECES = ["config.toml", "tokenizer.model", "model.safetensors", "manifest.json", "."]


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("piece", _PIECES)
def test_what_may_not_be_read_is_named(folder, piece, with_manifest):
    if not with_manifest:
        (folder / "manifest.json").unlink()
        if piece == "manifest.json":
            return
    (folder / piece).chmod(0)
    try:
        with another_user(), pytest.raises(UserError, match="Permission denied") as caught:
            load_model(folder)
        assert str(folder if piece == "." else folder / piece) in str(caught.value)
        if piece in ("config.toml", "."):
            with another_user(), pytest.raises(UserError, match="Permission denied"):
                load_model_config(folder)
    finally:
        (folder / piece).chmod(0o755)


def test_the_command_line_says_it_in_one_line(folder, shell, monkeypatch):
    path = folder / "model.safetensors"
    path.chmod(0)
    (folder / "manifest.json").unlink()
    plain = model_folder.load_weights

    def load_as_another_user(*arguments):
        with another_user():
            plain(*arguments)

    monkeypatch.setattr(model_folder, "load_weights", load_as_another_user)
    said = shell("translate", folder, "--device", "cpu", "--threads", "1", stdin=b"a\n")
    assert said.code == 2, said.err
    assert said.out == ""
    assert said.err.startswith(f"error: {path}: cannot be read (Permission denied)")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("mode", [0, 0o600])
def test_a_folder_that_may_not_be_entered_is_named(folder, mode):
    folder.chmod(mode)
    try:
        for opened in (folder, folder / "inside"):
            for read in (load, load_model, load_model_config):
                with another_user(), pytest.raises(UserError) as caught:
                    read(opened)
                assert str(caught.value) == (
                    f"{opened}: the folder cannot be opened (Permission denied); ask its owner for "
                    "the permission to read and enter it"
                )
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("piece", ["labels.txt", "tokenizer.model", "config.toml", "manifest.json"])
@pytest.mark.parametrize("command", ["classify", "embed", "evaluate", "tokenizer"])
def test_every_command_names_what_may_not_be_read(models, shell, monkeypatch, command, piece):
    arguments = {
        "classify": ["classify", "{}", "--device", "cpu"],
        "embed": ["embed", "{}", "--device", "cpu"],
        "evaluate": ["evaluate", "{}", "--device", "cpu"],
        "tokenizer": ["tokenizer", "encode", "{}"],
    }[command]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(models["classify"], Path(place) / "model"))
        plain = Path.open

        def as_another_user(path, *given, **named):
            if path == folder / piece:
                raise PermissionError(13, "Permission denied", str(path))
            return plain(path, *given, **named)

        monkeypatch.setattr(Path, "open", as_another_user)
        said = shell(*[part.format(folder) for part in arguments], stdin=b"a\n")
    if said.code == 0:  # `tokenizer` needs neither the weights nor the manifest's other files
        assert (command, piece) == ("tokenizer", "manifest.json")
        return
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
    assert f"{folder / piece}: cannot be read" in said.err
    assert "Permission denied" in said.err
