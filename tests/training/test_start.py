"""`seq2seq train --from`: a run that starts from the weights and the vocabulary of a model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import safetensors.torch
import torch

import seq2seq
from seq2seq.errors import UserError
from seq2seq.models.folder import load_model
from seq2seq.training.start import open_start

pytestmark = pytest.mark.usefixtures("no_picture")

_NEW = """
[data]
source = "en"
target = "fr"
train = "{toy}/test"
valid = "{toy}/valid"
{more}
[training]
{limit}
batch_tokens = 120
learning_rate = 0.001
schedule = "constant"
warmup = 0
threads = 1
device = "cpu"
precision = "fp32"
[validation]
metric = "loss"
every = 2
"""


@pytest.fixture
def new(toy, tmp_path):
    def write(more: str = "", limit: str = "updates = 4", name: str = "new") -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(_NEW.format(toy=toy.folder, more=more, limit=limit), encoding="utf-8")
        return path

    return write


def weights(run: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load_file(run / "model" / "model.safetensors")


def test_weights_and_vocabulary_are_those_of_the_model(trained, new, shell, tmp_path):
    run, model = tmp_path / "run", trained / "model"
    config = new("[encoder]\ndropout = 0.3\n", limit="updates = 1\nclip = 1e-9\nweight_decay = 0")
    said = shell("train", config, "--from", model, "--out", run)
    assert said.code == 0, said.err
    assert "starting from the weights of toy/base" in said.err
    old, learned = load_model(model), load_model(run / "model")
    assert learned.codec.files() == old.codec.files()
    assert learned.config.encoder.model_copy(update={"dropout": 0.0}) == old.config.encoder
    assert learned.config.encoder.dropout == 0.3  # does not change the network
    before, after = weights(trained), weights(run)
    assert before.keys() == after.keys()
    # One update of AdamW with the learning rate 0.001 moves a weight by at most 0.001.
    assert all(torch.allclose(before[name], after[name], rtol=0, atol=1.01e-3) for name in before)
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    origin = json.loads((run / "origin.json").read_text(encoding="utf-8"))
    assert f"- continued from: `toy/base` (SHA-256 of its weights: `{origin['weights']}`)" in card
    assert str(trained.parent.parent) not in card


def test_each_key_that_differs_is_named(trained, new, shell, tmp_path):
    config = new("[encoder]\nhidden = 16\n[decoder]\nlayers = 2\n[tokenizer]\nvocabulary = 300")
    said = shell("train", config, "--from", trained / "model", "--out", tmp_path / "run")
    assert said.code == 2
    assert said.err.count("\n") == 1
    for text in (
        "encoder.hidden is 32 in the model, but 16 in the configuration",
        "decoder.layers is 1 in the model, but 2 in the configuration",
        "tokenizer.vocabulary is 390 in the model, but 300 in the configuration",
    ):
        assert text in said.err
    assert not (tmp_path / "run").exists()


def test_another_task_is_refused(speaking, new, shell, tmp_path):
    config = new("[context]\nsize = 8")
    config.write_text('task = "translation"\n' + config.read_text())
    said = shell("train", config, "--from", speaking / "model", "--out", tmp_path / "run")
    assert said.code == 2
    assert said.err == (
        f"error: cannot start from the model {speaking / 'model'}: its task is 'language-model', "
        f"but the task of {config} is 'translation'. Choose a model of the task "
        "'translation', or train without --from\n"
    )


def test_the_task_of_the_model_is_named_if_the_configuration_has_none(
    speaking, new, shell, tmp_path
):
    said = shell("train", new(), "--from", speaking / "model", "--out", tmp_path / "run")
    assert said.code == 2
    assert "task 'language-model' does not allow data.source" in said.err
    assert f"(the model {speaking / 'model'} has the task 'language-model')" in said.err
    assert said.err.count("\n") == 1


def test_a_language_model_needs_no_network_keys(speaking, toy, tmp_path):
    """Its default sizes would be refused, as tied embeddings need the size of a state."""
    result = seq2seq.train(
        {
            "data": {"train": f"{toy.folder}/test.fr", "valid": f"{toy.folder}/valid.fr"},
            "training": {"updates": 1, "batch_tokens": 80, "window": 10, "device": "cpu"},
        },
        out=tmp_path / "run",
        start_from=speaking / "model",
    )
    assert load_model(result.model).config.decoder == load_model(speaking / "model").config.decoder


def test_swapped_sides_are_said(trained, new, shell, tmp_path):
    config = new()
    text = config.read_text().replace('"en"', '"x"').replace('"fr"', '"en"').replace('"x"', '"fr"')
    config.write_text(text)
    said = shell("train", config, "--from", trained / "model", "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert "translates from en to fr, but this configuration trains from fr to en" in said.err


def test_a_resumed_run_equals_an_uninterrupted_one(trained, new, shell, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    model = shutil.copytree(trained / "model", tmp_path / "model")
    config = new(limit="updates = 8")
    assert shell("train", config, "--from", model, "--out", whole).code == 0
    half = ("--set", "training.updates=4")
    assert shell("train", config, "--from", model, "--out", parts, *half).code == 0
    said = shell("train", config, "--from", model, "--out", parts, "--resume", *half[:0])
    assert said.code == 0, said.err
    assert "resumed at update 4" in said.err
    expected, found = weights(whole), weights(parts)
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    # The model may be gone: the folder of the run has all that is needed.
    shutil.rmtree(model)
    more = ("--set", "training.updates=10")
    said = shell("train", config, "--out", parts, "--resume", *more)
    assert said.code == 0, said.err
    assert "resumed at update 8" in said.err
    assert "continued from" in (parts / "model" / "README.md").read_text(encoding="utf-8")


def test_resuming_from_another_model_is_refused(trained, attending, new, shell, tmp_path):
    run, config = tmp_path / "run", new()
    assert shell("train", config, "--from", trained / "model", "--out", run).code == 0
    said = shell("train", config, "--from", attending / "model", "--out", run, "--resume")
    assert said.code == 2
    assert "started from the model toy/base with the weights SHA-256" in said.err
    for left in (run / "checkpoints").iterdir():
        shutil.rmtree(left)
    with pytest.raises(UserError, match="name the model again with --from"):
        open_start(None, run, resume=True)


def test_a_run_with_random_weights_is_not_resumed_from_a_model(trained):
    with pytest.raises(UserError, match="did not start from a model"):
        open_start(trained / "model", trained, resume=True)


def test_labels_are_those_of_the_model(models, tmp_path):
    config = {
        "task": "classification",
        "data": {"source": "text", "target": "label"},
        "training": {"updates": 1, "device": "cpu"},
    }
    data = [("a cat", "A"), ("a dog", "B")]
    result = seq2seq.train(config, data, data, out=tmp_path / "run", start_from=models["classify"])
    assert seq2seq.Classifier.load(result.model, device="cpu").names == ["A", "B", "C"]
    more = [*data, ("a man", "D"), ("a horse", "E")]
    for split, sets in (("train", (more, data)), ("valid", (data, more))):
        with pytest.raises(UserError) as raised:
            seq2seq.train(config, *sets, out=tmp_path / "other", start_from=models["classify"])
        assert str(raised.value) == (
            f"cannot start from the model {models['classify']}: unknown labels 'D', 'E' in "
            f"data.{split}; the labels of the model are: A, B, C. Remove the rows with other "
            "labels, or train without --from"
        )
