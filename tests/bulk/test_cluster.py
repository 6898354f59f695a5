"""Bulk translation with real workers of a local Ray cluster, some of which are killed."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

import seq2seq
from seq2seq.bulk import dispatch
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model

ROOT = Path(__file__).parent.parent.parent
NEEDS_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="no ray: pip install 'seq2seq-rnn[bulk]'"
)
WAIT = 300  # seconds; far more than any step takes


def start(command: list[str | Path], folder: Path) -> subprocess.Popen[str]:
    """Start a command, where `seq2seq` is the program of this environment."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    environment["RAY_worker_niceness"] = "0"  # 15 would be slow beside other tests
    environment.pop("RAY_ADDRESS", None)
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for(answer: Callable[[], int | None], process: subprocess.Popen[str]) -> int:
    """Ask again until there is an answer. Fails if the process ends before."""
    for _ in range(WAIT * 100):
        if (value := answer()) is not None:
            return value
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no answer")


def worker_of(name: str, output: Path, before: set[int]) -> int | None:
    """Return the process that writes a file, which is in the name of its temporary file."""
    for path in output.glob(f".{name}.*.part"):
        process = int(path.name.split("-")[-1].removesuffix(".part"))
        if process not in before:
            return process
    return None


def the_command_of_the_page() -> list[str]:
    page = (ROOT / "docs" / "bulk.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^seq2seq bulk .*$", page, re.MULTILINE)
    return shlex.split(line)


@NEEDS_RAY
def test_no_line_is_lost_or_doubled_when_workers_are_killed(attending, toy, tmp_path) -> None:
    _, _, model, source, _, target, *_ = the_command_of_the_page()
    export_model(load_model(attending / "model"), tmp_path / model, "int8")
    corpus, output = tmp_path / source, tmp_path / target
    corpus.mkdir()
    lines = [*toy.lines("test.en"), "", *toy.lines("valid.en")]
    texts = {"poison": lines * 2000, "killed": lines * 60, "a": lines, "b": lines[::-1]}
    for name, content in texts.items():
        (corpus / name).write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    parquet.write_table(pa.table({"en": lines}), corpus / "c.parquet")

    recipe: list[str | Path] = [ROOT / "recipes/bulk/run.sh", model, source, target, "--beam", "5"]
    process = start(recipe, tmp_path)
    killed: set[int] = set()
    for name in ("poison", "killed", "poison", "poison"):  # the largest files are the first
        worker = wait_for(lambda name=name: worker_of(name, output, killed), process)
        os.kill(worker, signal.SIGKILL)
        killed.add(worker)
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 2, err
    assert err.count("poison is translated again from its start") == 2
    assert err.count("killed is translated again from its start") == 1
    assert (
        "poison: this file was not translated: 3 workers died while they translated this file"
        in err
    )
    assert err.endswith("run the same command again to translate them\n")
    total = len(texts["killed"]) + 3 * len(lines)
    assert out == f"{target}: 4 files translated ({total:,} lines), 0 finished before, 1 failed\n"
    assert not (output / "poison").exists()

    texts["poison"] = lines[:5]
    (corpus / "poison").write_text("".join(f"{line}\n" for line in lines[:5]), encoding="utf-8")
    process = start([*the_command_of_the_page()], tmp_path)
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err
    assert err == "translating 5 files with 2 workers\n"
    assert out == f"{target}: 1 file translated (5 lines), 4 finished before, 0 failed\n"
    translator = seq2seq.Translator.load(tmp_path / model)
    expected = dict(zip(lines, translator.translate(lines), strict=True))
    for name, content in texts.items():
        written = (output / name).read_text(encoding="utf-8")
        assert written == "".join(f"{expected[line]}\n" for line in content)
    column = parquet.read_table(output / "c.parquet").column("translated")
    assert column.to_pylist() == [expected[line] for line in lines]
    assert {path.name for path in output.iterdir()} == {*texts, "c.parquet", "_receipts"}


def test_mistakes_are_found_before_a_cluster_starts(trained, toy, shell, tmp_path, monkeypatch):
    monkeypatch.setattr(dispatch, "open_cluster", None)
    model, source = trained / "model", tmp_path / "in"
    source.mkdir()
    for options, message in (
        ([], "the folder holds no files to translate"),
        (["--beam", 0], "beam"),
        (["--source-prefix", ""], "the source prefix is empty"),
    ):
        said = shell("bulk", model, source, "-o", tmp_path / "out", *options)
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert message in said.err
    said = shell("bulk", tmp_path / "none", source, "-o", tmp_path / "out")
    assert (said.code, said.err.count("\n")) == (2, 1)
    parquet.write_table(pa.table({"eng": ["x"]}), source / "a.parquet")
    said = shell("bulk", model, source, "-o", tmp_path / "out")
    assert "no column 'en'; existing columns: 'eng'; choose one with --column" in said.err
    assert not (tmp_path / "out").exists()


def test_a_missing_ray_says_what_to_install(trained, shell, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("the cat\n")
    said = shell("bulk", trained / "model", tmp_path / "in", "-o", tmp_path / "out")
    assert (said.code, said.out) == (2, "")
    assert said.err.endswith("needs the package ray: run pip install 'seq2seq-rnn[bulk]'\n")


def test_one_process_at_a_time_writes_to_a_folder(trained, shell, tmp_path):
    from seq2seq.bulk.shards import output_folder

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("the cat\n")
    with output_folder(tmp_path / "out"):
        said = shell("bulk", trained / "model", tmp_path / "in", "-o", tmp_path / "out")
    assert said.code == 2
    assert "another process translates into this folder" in said.err
