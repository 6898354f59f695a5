"""A file is whole or not there; a line is all there or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.errors import UserError
from seq2seq.files import atomic_file, atomic_folder, delete_leftovers, write_atomically
from seq2seq.jsonl import append_line, read_jsonl


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    append_line(path, "{}")
    write = os.write

    def cut(file, content):
        with path.open("ab") as other:  # a row of another program, a moment before
            other.write(b"[]\n")
        return write(file, content[:3])

    monkeypatch.setattr(os, "write", cut)
    with pytest.raises(UserError, match=r"a\.jsonl: the file cannot be written"):
        append_line(path, '{"b": 1}')
    assert path.read_bytes() == b"{}\n[]\n"


def test_a_failed_write_keeps_the_old_content_and_leaves_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_atomically(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def denied(path, *_, **__):
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize("step", ["open", "replace"])
def test_an_error_names_the_file_and_not_its_temporary_name(tmp_path, monkeypatch, step):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, step, denied)
    with pytest.raises(PermissionError) as raised, atomic_file(Path("wanted")) as aside:
        aside.open("wb") if step == "open" else os.close(os.open(aside, os.O_CREAT))
    assert raised.value.filename == "wanted"
    with pytest.raises(UserError, match=r"^wanted: the file cannot be written"):
        write_atomically(Path("wanted"), b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["mkdir", "open", "replace"])
def test_an_error_names_the_folder_and_not_its_temporary_name(tmp_path, monkeypatch, step):
    monkeypatch.setattr(Path, step, denied)
    wanted = tmp_path / "new"
    with pytest.raises(PermissionError) as raised, atomic_folder(wanted) as aside:
        (aside / "file").open() if step == "open" else None
    assert raised.value.filename == str(wanted / "file" if step == "open" else wanted)


def test_an_error_names_the_file_and_not_the_folder_of_the_file(tmp_path, monkeypatch):
    plain = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest: (denied if path == tmp_path else plain)(path, *rest)
    )
    with pytest.raises(UserError, match=r"out: the file cannot be written \(Permission denied"):
        write_atomically(tmp_path / "out", b"")
    with pytest.raises(PermissionError) as raised, atomic_folder(tmp_path / "folder"):
        pass
    assert raised.value.filename == str(tmp_path / "folder")


@pytest.mark.parametrize("command", ["translate", "export", "config"])
def test_the_command_line_names_the_output(trained, shell, tmp_path, monkeypatch, command):
    for step in ("open", "mkdir", "write_bytes"):
        plain = getattr(Path, step)

        def closed(path, *given, plain=plain, **named):
            return (denied if path.name.endswith(".part") else plain)(path, *given, **named)

        monkeypatch.setattr(Path, step, closed)
    models = [] if command == "config" else [trained / "model"]
    said = shell(command, *models, "-o", tmp_path / "out", stdin=b"the red cat runs\n")
    assert said.code == 2
    assert said.err.startswith(f"error: {tmp_path / 'out'}: "), said.err
    assert "Permission denied" in said.err
    assert said.err.count("\n") == 1


_UNFINISHED = """
import os, signal, sys
from pathlib import Path
from seq2seq.files import atomic_file, atomic_folder

with atomic_folder(Path("a[1]")) as folder, atomic_file(Path("text")) as file:
    (folder / "part").touch()
    print(os.getpid(), flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("node", ["", "another-machine"])
def test_what_a_killed_process_left_is_deleted(tmp_path, node):
    """A process of another machine, whose number says nothing here, is found by its lock."""
    command, pipe = [sys.executable, "-c", _UNFINISHED], subprocess.PIPE
    with subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe) as process:
        process.stdout.readline()
        for path in [*tmp_path.iterdir()] if node else []:
            path.rename(str(path).replace(os.uname().nodename, node))
        others = [tmp_path / ".text.part", tmp_path / ".text2.host-1.part"]
        for path in others:
            path.touch()
        for name in ("a[1]", "text"):
            delete_leftovers(tmp_path / name)
        assert len([*tmp_path.iterdir()]) == 2 + len(others)
        process.stdin.close()
    with atomic_folder(tmp_path / "a[1]"):
        pass
    delete_leftovers(tmp_path / "text")
    assert sorted(tmp_path.iterdir()) == sorted([*others, tmp_path / "a[1]"])


def test_lines_end_at_newlines_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    append_line(path, '{"a": "x\u2028y\x85z"}')
    assert read_jsonl(path) == [(1, {"a": "x\u2028y\x85z"})]


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{}\n{"a": "\xff"}\n')
    with pytest.raises(UserError, match=r"a\.jsonl:2: the line is invalid JSON"):
        read_jsonl(path)
