"""A model folder says what it holds: every file with its checksum, and a format number."""

import hashlib
import json
import shutil

import pytest

from seq2seq.errors import UserError
from seq2seq.models.folder import load_model, load_model_config


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained / "model", tmp_path / "model")
    return tmp_path / "model"


def test_every_file_is_listed_with_its_checksum(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    names = {path.name for path in folder.iterdir()} - {"manifest.json"}
    assert manifest["format"] == 4
    assert manifest["sha256"] == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names
    }


@pytest.mark.parametrize("name", ["config.toml", "tokenizer.model", "model.safetensors"])
def test_a_changed_byte_is_found(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=rf"{name}: the file does not match its checksum"):
        load_model(folder)
    if name == "config.toml":
        with pytest.raises(UserError, match="the file does not match its checksum"):
            load_model_config(folder)


def test_a_missing_file_is_named(folder):
    (folder / "tokenizer.model").unlink()
    with pytest.raises(UserError, match=r"tokenizer\.model is missing: the folder is not"):
        load_model(folder)


def test_the_card_may_be_changed(folder):
    (folder / "README.md").write_text("mine\n")
    assert load_model(folder).config == load_model_config(folder)


def test_without_a_manifest_it_is_a_folder_of_format_3(folder):
    config = load_model_config(folder)
    (folder / "manifest.json").unlink()
    assert load_model(folder).config == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '{"format": 5, "sha256": {}}',
            "the folder has format 5, but this seq2seq reads only formats",
        ),
        (
            '{"format": 2, "sha256": {}}',
            "the folder has format 2, but this seq2seq reads only formats",
        ),
        ('{"format": "4", "sha256": {}}', "not a valid manifest"),
        ('{"format": 4}', "not a valid manifest"),
        ("[]", "not a valid manifest"),
        ("{", "not a valid manifest"),
        ("[" * 100_000, "not a valid manifest"),
    ],
)
def test_what_is_no_manifest_of_ours(folder, text, said):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(UserError, match=said):
        load_model(folder)


def test_a_manifest_reaches_no_file_outside_its_folder(folder, tmp_path):
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["sha256"]["../secret"] = "0"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="not a valid manifest"):
        load_model(folder)
