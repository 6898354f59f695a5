"""Damage to a file of a model folder or of an export is always found, and the file is named."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fault_limits import WHOLE, record

import seq2seq
from seq2seq.errors import UserError

_CUTS, _FLIPS = (50, 500) if WHOLE else (2, 6)


def damaged(content: bytes, draw: random.Random) -> Iterator[tuple[str, bytes]]:
    """The content cut at places, and with one byte changed at places."""
    for cut in {0, len(content) - 1, *(draw.randrange(len(content)) for _ in range(_CUTS - 2))}:
        yield f"cut at {cut}", content[:cut]
    for _ in range(_FLIPS):
        at, change = draw.randrange(len(content)), draw.randrange(1, 256)
        flipped = bytes([content[at] ^ change])
        yield f"byte {at} xor {change}", content[:at] + flipped + content[at + 1 :]


@pytest.mark.parametrize("name", ["model", "export", "tagger"])
def test_damage_is_found_and_named(subjects, name, tmp_path):
    folder = Path(shutil.copytree(subjects[name], tmp_path / name))
    seq2seq.load(folder, device="cpu")
    tried, missed = 0, []
    for path in sorted(folder.iterdir()):
        if path.name == "README.md":  # users may edit the card
            continue
        content = path.read_bytes()
        for what, changed in damaged(content, random.Random(path.name)):
            path.write_bytes(changed)
            tried += 1
            try:
                seq2seq.load(folder, device="cpu")
                missed.append(f"{path.name}, {what}: opened")
            except UserError as error:
                if str(path) not in str(error):
                    missed.append(f"{path.name}, {what}: {error}")
        path.write_bytes(content)
    seq2seq.load(folder, device="cpu")
    record(f"damage to each file of a folder ({name})", tried, tried - len(missed))
    assert missed == []


@pytest.mark.parametrize("name", ["labels.txt", "statistics.json", "tokenizer.source.model"])
def test_a_file_that_the_manifest_does_not_list_is_not_read(subjects, name, tmp_path):
    folder = Path(shutil.copytree(subjects["model"], tmp_path / "model"))
    (folder / name).write_text("{}")
    with pytest.raises(UserError, match=f"{name}: the file does not match its checksum"):
        seq2seq.load(folder, device="cpu")


def test_a_manifest_cannot_say_that_it_has_no_checksums(subjects, tmp_path):
    folder = Path(shutil.copytree(subjects["model"], tmp_path / "model"))
    (folder / "manifest.json").write_text('{"format": 3, "sha256": {}}')
    with pytest.raises(UserError, match="the folder has format 3"):
        seq2seq.load(folder, device="cpu")


def test_the_tokenizer_command_checks_the_folder(subjects, tmp_path, shell):
    folder = Path(shutil.copytree(subjects["model"], tmp_path / "model"))
    path = folder / "tokenizer.model"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    said = shell("tokenizer", "encode", folder, stdin=b"the cat\n")
    assert (said.code, said.out) == (2, "")
    assert f"{path}: the file does not match its checksum" in said.err


def test_a_folder_without_checksums_is_said_once(subjects, tmp_path, shell):
    folder = Path(shutil.copytree(subjects["model"], tmp_path / "model"))
    (folder / "manifest.json").unlink()
    said = shell("translate", folder, "--device", "cpu", stdin=b"the cat\na dog\n")
    assert said.code == 0
    assert said.err.count("without checksums") == 1
