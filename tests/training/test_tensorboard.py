"""`training.tensorboard`: the numbers of metrics.jsonl as scalars, across a resume."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = pytest.mark.usefixtures("no_picture")

SETTINGS = (
    "training.tensorboard=true",
    "training.log_every=1",
    "validation.every=2",
    "validation.metric=loss",
)


def scalars(run):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_scalars_are_the_rows_of_the_log(toy, shell, tmp_path):
    run = tmp_path / "run"
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    for updates in (3, 6):
        limit = ("--set", f"training.updates={updates}", "--resume")
        said = shell("train", toy.path, *settings, *limit, "--out", run)
        assert said.code == 0, said.err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = scalars(run)
    for kind, name in (("train", "loss"), ("train", "gradient_norm"), ("valid", "perplexity")):
        expected = [(row["update"], row[name]) for row in rows if row["kind"] == kind]
        assert [step for step, _ in found[f"{kind}/{name}"]] == [step for step, _ in expected]
        values = [value for _, value in found[f"{kind}/{name}"]]
        assert values == pytest.approx([value for _, value in expected], rel=1e-5)
    assert not {"train/update", "train/epoch", "valid/best", "valid/bleu"} & found.keys()


def test_a_missing_package_is_one_line(toy, shell, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    settings = ("--set", "training.tensorboard=true", "--out", tmp_path / "run")
    said = shell("train", toy.path, *settings)
    assert (said.code, said.err.count("\n")) == (2, 1), said.err
    assert "pip install 'seq2seq-rnn[tensorboard]'" in said.err
    assert not (tmp_path / "run").exists()
