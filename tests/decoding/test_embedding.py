"""Encoder vectors: one for each line, whatever its neighbours are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import seq2seq
from seq2seq.errors import UserError
from seq2seq.models.folder import load_model

QUICK = ["--device", "cpu", "--threads", "1"]
LINES = ["the red cat runs", "", "a dog", "\u200b", "the old man sleeps here now", "  ", "cat"]


@pytest.fixture
def folders(trained, attending, models) -> dict[str, Path]:
    return {"fixed": trained / "model", "attention": attending / "model", **models}


@pytest.mark.parametrize("pooling", ["summary", "mean"])
@pytest.mark.parametrize("name", ["fixed", "attention", "classify", "tag"])
def test_a_vector_depends_on_its_line_alone(folders, name, pooling):
    model = seq2seq.load(folders[name], device="cpu", batch_size=3)
    together = model.embed(LINES, pooling)
    assert together.dtype == np.float32
    assert together.shape[0] == len(LINES)
    for i, line in enumerate(LINES):
        np.testing.assert_allclose(model.embed([line], pooling)[0], together[i], atol=1e-5)
        assert together[i].any() == bool(line.strip())
    np.testing.assert_allclose(model.embed(LINES[::-1], pooling)[::-1], together, atol=1e-5)
    assert model.embed([], pooling).shape == (0, together.shape[1])


def test_the_vector_is_what_the_decoder_starts_from(attending):
    loaded = load_model(attending / "model")
    (ids,) = loaded.codec.source_ids(["the red cat"])
    tokens = torch.tensor([[*ids, loaded.codec.source.eos]])
    with torch.no_grad():
        memory = loaded.network.encoder(tokens, torch.tensor([tokens.shape[1]]))
    model = seq2seq.Translator.load(attending / "model", device="cpu")
    found = model.embed(["the red cat"])
    np.testing.assert_allclose(found, memory.summary.numpy(), atol=1e-6)
    found = model.embed(["the red cat"], "mean")
    np.testing.assert_allclose(found, memory.states.mean(dim=1).numpy(), atol=1e-6)


@pytest.mark.parametrize("name", ["attention", "classify", "tag", "write", "colour"])
def test_the_command_writes_one_vector_a_line(folders, name, shell, tmp_path):
    lines = {"write": ["A", "C", "", "A"], "colour": ["1 0 0.5", "#ffffff", "", "1 0 0.5"]}
    text = "".join(f"{line}\n" for line in lines.get(name, LINES)).encode()
    count = len(lines.get(name, LINES))
    said = shell("embed", folders[name], *QUICK, stdin=text)
    assert said.code == 0, said.err
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert len(rows) == count
    for output in ("vectors.npy", "vectors.jsonl"):
        where = tmp_path / output
        assert shell("embed", folders[name], "-o", where, *QUICK, stdin=text).code == 0
    array = np.load(tmp_path / "vectors.npy")
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, rows, atol=1e-5)
    assert (tmp_path / "vectors.jsonl").read_text() == said.out
    assert len(np.load(tmp_path / "vectors.npy", mmap_mode="r")) == count


def test_a_table_is_read_by_its_column(folders, shell, tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text('x,label\n"the cat, again",x\n"a dog\nruns",y\n', encoding="utf-8")
    said = shell("embed", folders["classify"], table, *QUICK)
    plain = shell("embed", folders["classify"], *QUICK, stdin=b"the cat, again\na dog runs\n")
    assert (said.code, said.out) == (0, plain.out), said.err


def test_no_lines_are_an_empty_array(folders, shell, tmp_path):
    said = shell("embed", folders["tag"], "-o", tmp_path / "x.npy", *QUICK, stdin=b"")
    assert said.code == 0, said.err
    assert np.load(tmp_path / "x.npy").shape == (0, 16)


def test_what_cannot_be_embedded_is_one_line(folders, speaking, trained, shell, tmp_path):
    said = shell("embed", speaking / "model", *QUICK, stdin=b"a\n")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "is a language model, which has no encoder" in said.err
    said = shell("embed", folders["tag"], "-o", tmp_path / "x.txt", *QUICK, stdin=b"a\n")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "must end in .npy or .jsonl" in said.err
    model = seq2seq.Translator.load(trained / "model", trained / "model", device="cpu")
    with pytest.raises(UserError, match="single model folder"):
        model.embed(["a"])
    with pytest.raises(TypeError, match="single string"):
        seq2seq.load(folders["fixed"], device="cpu").embed("a")
    with pytest.raises(UserError, match="unknown pooling 'max': use 'summary' or 'mean'"):
        seq2seq.load(folders["tag"], device="cpu").embed(["a"], "max")
