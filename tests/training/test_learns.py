"""The toy language is learned, and every way to end a run ends it."""

import json

import pytest
import safetensors.torch
import torch

from seq2seq.errors import UserError
from seq2seq.models import folder as model_folder
from seq2seq.training.run_training import train_model

pytestmark = pytest.mark.usefixtures("no_picture")
_SMALL = ("encoder.hidden=16", "decoder.hidden=24", "validation.metric=loss", "validation.every=0")


def rows(run, kind):
    lines = (run / "metrics.jsonl").read_bytes().splitlines()
    return [row for row in map(json.loads, lines) if row["kind"] == kind]


def test_it_learns(trained):
    losses = [row["loss"] for row in rows(trained, "train")]
    assert losses[-1] < 0.2 < 2 < losses[0]
    judged = rows(trained, "valid")
    # Measured: 100. The sentences are not in the training data; words alone would not reach it.
    assert max(row["bleu"] for row in judged) >= 85
    assert judged[-1]["loss"] < 0.3


def test_a_language_model_learns(speaking):
    """A sentence is 4 or 5 words and its end; four choices in each of four places are left, so that
    no model can be below exp(4 ln 4 / 5.75) = 2.6; words alone have 17.2."""
    judged = rows(speaking, "valid")
    assert judged[-1]["perplexity"] < 3.2
    assert judged[0]["perplexity"] > 2.6
    assert judged[-1]["bleu"] is None
    names = {path.name for path in (speaking / "model").iterdir()}
    assert names == {
        "config.toml",
        "tokenizer.model",
        "model.safetensors",
        "README.md",
        "manifest.json",
    }
    assert "seq2seq generate FOLDER" in (speaking / "model/README.md").read_text()


@pytest.mark.parametrize("cell", ["rnn", "rnn-relu", "lstm", "gru"])
@pytest.mark.parametrize("windows", ["contiguous", "random"])
def test_every_cell_learns_a_language(toy, tmp_path, cell, windows):
    settings = (f"decoder.cell={cell}", f"training.windows={windows}", "training.epochs=3")
    train_model(toy.language(*settings), tmp_path / "run")
    judged = rows(tmp_path / "run", "valid")
    assert judged[-1]["perplexity"] < 6


def test_a_text_shorter_than_a_window(toy, tmp_path):
    config = toy.language("training.window=5000", "training.batch_tokens=5000")
    with pytest.raises(UserError, match=r"has [\d,]+ tokens, fewer than one window of 5000"):
        train_model(config, tmp_path / "run")
    train_model(toy.language("training.updates=1"), tmp_path / "run")  # as it is told


def test_a_text_that_has_nothing_to_judge_by(toy, tmp_path):
    (tmp_path / "blank").write_text("\n \n")
    config = toy.language("data.line_ends=false", f"data.valid={tmp_path / 'blank'}")
    with pytest.raises(UserError, match=r"data\.valid: .*no text"):
        train_model(config, tmp_path / "run")


def test_the_model_folder_is_complete(trained):
    names = {path.name for path in (trained / "model").iterdir()}
    assert names == {
        "config.toml",
        "tokenizer.model",
        "model.safetensors",
        "README.md",
        "manifest.json",
        "statistics.json",
    }
    best = max(row["bleu"] for row in rows(trained, "valid"))
    assert f"validation BLEU: {best:.2f}" in (trained / "model/README.md").read_text()


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (("training.epochs=2",), "2 epochs"),
        (("training.updates=5",), "5 updates"),
        (("training.updates=20", "training.epochs=1", "training.minutes=60"), "1 epoch"),
        (("training.minutes=1e-6",), "1e-06 minutes"),
        (("training.patience=2", "training.learning_rate=1e-9"), "no gain in 2 validations"),
    ],
)
def test_limits(toy, tmp_path, caplog, limit, why):
    caplog.set_level("INFO")
    config = toy.config(*_SMALL, "training.schedule=plateau", "training.batch_tokens=400", *limit)
    if "patience" in limit[0]:
        # Nothing to gain: weights hardly move, and dropout off makes the loss the same.
        config = config.model_copy(
            update={"validation": config.validation.model_copy(update={"metric": "bleu"})}
        )
    model = train_model(config, tmp_path / "run").model
    assert f"finished: {why}" in caplog.messages
    model_folder.load_model(model)
    assert rows(tmp_path / "run", "valid")


def test_the_average_is_what_is_judged_and_kept(toy, tmp_path):
    train_model(toy.config(*_SMALL, "training.ema_decay=0.9", "training.epochs=2"), tmp_path / "r")
    assert rows(tmp_path / "r", "valid")[-1]["best"]
    (checkpoint,) = (tmp_path / "r/checkpoints").glob("update-*")
    kept, average, weights = (
        safetensors.torch.load_file(path)
        for path in (
            tmp_path / "r/model/model.safetensors",
            checkpoint / "ema.safetensors",
            checkpoint / "weights.safetensors",
        )
    )
    torch.testing.assert_close(kept, average, rtol=0, atol=0)
    assert any(not torch.equal(average[name], weights[name]) for name in weights)
