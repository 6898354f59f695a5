"""A file is whole or not there; a line is all there or not at all."""

import os

import pytest

from seq2seq.errors import UserError
from seq2seq.files import append_line, read_jsonl, write_atomically


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    append_line(path, "{}")
    write = os.write

    def cut(file, content):
        with path.open("ab") as other:  # a row of another program, a moment before
            other.write(b"[]\n")
        return write(file, content[:3])

    monkeypatch.setattr(os, "write", cut)
    with pytest.raises(UserError, match=r"a\.jsonl: cannot be written"):
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


def test_lines_end_at_newlines_alone(tmp_path):
    path = tmp_path / "a.jsonl"
    append_line(path, '{"a": "x\u2028y\x85z"}')
    assert read_jsonl(path) == [(1, {"a": "x\u2028y\x85z"})]


def test_bytes_that_are_no_text_are_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{}\n{"a": "\xff"}\n')
    with pytest.raises(UserError, match=r"a\.jsonl:2: invalid JSON"):
        read_jsonl(path)
