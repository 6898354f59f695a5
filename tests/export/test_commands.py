"""Every command that takes a model folder takes an export."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import seq2seq
from seq2seq.export import artifact, sessions
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model


@pytest.fixture
def run_folder(attending: Path, toy, tmp_path: Path) -> Path:
    """A folder with an export of the attending model."""
    export_model(load_model(attending / "model", locate_data=True), tmp_path / "export", "fp32")
    return tmp_path


def test_export_prints_the_difference(attending, shell, tmp_path) -> None:
    said = shell("export", attending / "model", "-o", tmp_path / "e")
    assert said.code == 0
    assert "largest difference of a log-probability" in said.out
    again = shell("export", attending / "model", "-o", tmp_path / "e", "--precision", "fp32")
    assert "100.0 %" in again.out
    (tmp_path / "full").mkdir()
    refused = shell("export", attending / "model", "-o", tmp_path / "full")
    assert refused.code == 2
    assert "exists and is not an export" in refused.err


def test_score_and_evaluate(run_folder, attending, toy, shell, monkeypatch) -> None:
    export, model = run_folder / "export", attending / "model"
    files = toy.folder / "test.en", toy.folder / "test.fr"
    scores = [shell("score", path, *files).out.split() for path in (export, model)]
    assert [*map(float, scores[0])] == pytest.approx([*map(float, scores[1])], abs=1e-3)
    results = [shell("evaluate", path, *files, "--json") for path in (export, model)]
    ours, theirs = (json.loads(said.out)["scores"] for said in results)
    assert ours == theirs
    monkeypatch.setenv("SEQ2SEQ_DATA", str(toy.folder))
    assert json.loads(shell("evaluate", export, "--json").out)["scores"] == ours
    monkeypatch.delenv("SEQ2SEQ_DATA")
    lost = shell("evaluate", export, "--json")
    assert (lost.code, lost.err.count("\n")) == (2, 1)
    assert "no such file" in lost.err
    assert "name the files: seq2seq evaluate MODEL SOURCE [REFERENCE]" in lost.err
    shutil.copy(attending / "config.toml", run_folder)  # an export inside the run folder
    assert json.loads(shell("evaluate", export, "--json").out)["scores"] == ours
    refused = shell("evaluate", export, *files, "--record", run_folder / "results.jsonl")
    assert refused.code == 2


def test_the_training_set_of_an_export_is_not_looked_for_in_the_current_folder(
    models, shell, tmp_path, monkeypatch
) -> None:
    export_model(load_model(models["tag"]), tmp_path / "tag", "fp32")
    for name, line in (("nowhere.x", "the cat"), ("nowhere.y", "A B"), ("a", "the"), ("b", "A")):
        (tmp_path / name).write_text(f"{line}\n")
    monkeypatch.chdir(tmp_path)
    said = shell("evaluate", "tag", "a", "b")
    assert said.code == 0
    assert "accuracy on unknown words is left out" in said.err


def test_language_models_and_labels(speaking, models, toy, shell, tmp_path) -> None:
    folders = {"speak": speaking / "model", **models}
    for name, folder in folders.items():
        export_model(load_model(folder), tmp_path / name, "fp32")
    text = toy.folder / "test.fr"
    for arguments in (
        ("perplexity", "speak", text),
        ("generate", "speak", "--prompt", "le chat", "--top-k", 1),
        ("evaluate", "speak", text),
        ("classify", "classify", toy.folder / "test.en"),
        ("tag", "tag", toy.folder / "test.en"),
        ("generate", "write", "--given", "B", "--length", 9),
    ):
        command, name, *rest = arguments
        ours, theirs = (shell(command, path, *rest) for path in (tmp_path / name, folders[name]))
        assert (ours.code, ours.err) == (0, theirs.err)
        assert ours.out.split()[:2] == theirs.out.split()[:2]


def test_two_threads_change_nothing(attending, toy, tmp_path, monkeypatch) -> None:
    export_model(load_model(attending / "model"), tmp_path / "e", "int8")

    def translate() -> list[tuple[str, float]]:
        results = seq2seq.Translator.load(tmp_path / "e").stream(toy.lines("test.en"))
        return [(result.best.text, result.best.score) for result in results]

    expected = translate()
    monkeypatch.setattr(sessions, "_threads", 2)
    assert translate() == expected


def test_missing_onnxruntime_is_said(run_folder, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(seq2seq.UserError, match="pip install 'seq2seq-rnn"):
        seq2seq.load(run_folder / "export")


def test_a_processor_without_fast_int8_is_said(attending, tmp_path, monkeypatch, caplog) -> None:
    export_model(load_model(attending / "model"), tmp_path / "e", "int8")
    seq2seq.load(tmp_path / "e")
    assert not caplog.records
    monkeypatch.setattr(artifact, "has_fast_int8", lambda: False)
    seq2seq.load(tmp_path / "e")
    assert "multiplies 8-bit integers slowly" in caplog.text


def test_onnx_runtime_sends_no_reports(attending, tmp_path) -> None:
    """Its telemetry, which is on by default, would write a device ID below the home folder."""
    export_model(load_model(attending / "model"), tmp_path / "e", "int8")
    home = tmp_path / "home"
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "XDG_"))}
    code = f"import seq2seq; seq2seq.load({str(tmp_path / 'e')!r}).translate(['the cat'])"
    subprocess.run(
        [sys.executable, "-c", code], env={**environment, "HOME": str(home)}, check=True, timeout=60
    )
    assert not list(home.rglob("*"))


def test_the_requirements_of_an_export_are_those_of_the_project() -> None:
    root = Path(__file__).parent.parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["onnx"]}
    lines = (root / "requirements-export.txt").read_text(encoding="utf-8").splitlines()
    needed = {line for line in lines if line and not line.startswith("#")}
    assert needed <= known
    assert not any(line.startswith(("torch", "datasets", "pyarrow")) for line in needed)
