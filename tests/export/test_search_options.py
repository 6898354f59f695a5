"""An export takes the constraints of the search and the options of source lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import seq2seq
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.decoding.source_options import SourceOptions
from seq2seq.decoding.worker_pool import WorkerPool
from seq2seq.errors import UserError
from seq2seq.export.artifact import load_export
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model

LINES = ["the red cat runs", "a dog sleeps {0} here <b>3</b>", "", "the dog runs. the cat sleeps."]
CONSTRAINTS = {
    "prefix": BeamOptions(target_prefix="le chien"),
    "require": BeamOptions(require=("noir",), n_best=2),
    "forbid": GreedyOptions(forbid=("le", "chat")),
    "repeat": SamplingOptions(no_repeat_ngram=2, stop=("x",)),
}


@pytest.fixture(scope="module")
def exports(attending: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    where = tmp_path_factory.mktemp("exports")
    model = load_model(attending / "model", locate_data=True)
    export_model(model, where / "plain", "fp32")
    export_model(model, where / "short", "fp32", shortlist=True)
    return {path.name: path for path in where.iterdir()}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints_hold_as_in_pytorch(name, exports, attending) -> None:
    source = SourceOptions(protect=True)
    theirs = seq2seq.Translator.load(attending / "model").stream(LINES, CONSTRAINTS[name], source)
    ours = seq2seq.Translator.load(exports["plain"]).stream(LINES, CONSTRAINTS[name], source)
    for expected, actual in zip(theirs, ours, strict=True):
        assert [t.text for t in actual.translations] == [t.text for t in expected.translations]
        assert [t.score for t in actual.translations] == pytest.approx(
            [t.score for t in expected.translations], abs=1e-3
        )
        assert actual.notes == expected.notes


@pytest.mark.parametrize("name", ["prefix", "require"])
def test_given_phrases_need_not_be_on_the_shortlist(name, exports) -> None:
    plain, short = (
        seq2seq.Translator.load(exports[key]).translate(LINES, CONSTRAINTS[name])
        for key in ("plain", "short")
    )
    assert short == plain


def test_workers_take_the_options_of_source_lines(exports) -> None:
    source = SourceOptions(protect=True, source_prefix="the")
    expected = list(seq2seq.Translator.load(exports["plain"]).stream(LINES, source=source))
    pool = WorkerPool([exports["plain"]], 2)
    found = list(pool.translate_windows([LINES[:2], LINES[2:]], BeamOptions(), source=source))
    assert [r.best.text for r in found] == [r.best.text for r in expected]
    assert [r.notes for r in found] == [r.notes for r in expected]


def test_the_statistics_of_the_training_text_are_exported(exports, attending) -> None:
    statistics = load_export(exports["plain"]).codec.statistics
    assert statistics is not None
    assert statistics == load_model(attending / "model").codec.statistics


def test_an_export_has_no_encoder_vectors(exports, models, shell, tmp_path) -> None:
    for name in ("classify", "write"):
        export_model(load_model(models[name]), tmp_path / name, "fp32")
    for path in (exports["plain"], tmp_path / "classify", tmp_path / "write"):
        said = shell("embed", path, stdin=b"the cat\n")
        assert (said.code, said.out) == (2, "")
        assert "an export gives no encoder vectors: use the model folder" in said.err
    with pytest.raises(UserError, match="no encoder vectors"):
        seq2seq.load(tmp_path / "classify").embed(["the cat"])


def test_unknown_tokens_count_in_perplexity(speaking, models, shell, tmp_path) -> None:
    export_model(load_model(speaking / "model"), tmp_path / "speak", "fp32")
    text = ["le chat 猫 dort", "猫", "le chien"]
    ours, theirs = (
        seq2seq.LanguageModel.load(path).perplexity(text)
        for path in (tmp_path / "speak", speaking / "model")
    )
    assert theirs.unknown > 0
    assert (ours.tokens, ours.unknown) == (theirs.tokens, theirs.unknown)
    assert ours.known_value == pytest.approx(theirs.known_value, rel=1e-3)
    assert ours.value == pytest.approx(theirs.value, rel=1e-3)
    export_model(load_model(models["write"]), tmp_path / "write", "fp32")
    (tmp_path / "given").write_text("A\nB\n", encoding="utf-8")
    (tmp_path / "texts").write_text("猫\na 猫 b\n", encoding="utf-8")
    files = tmp_path / "given", tmp_path / "texts"
    ours, theirs = (
        json.loads(shell("evaluate", path, *files, "--json").out)["scores"]
        for path in (tmp_path / "write", models["write"])
    )
    assert [score["name"] for score in ours] == [score["name"] for score in theirs]
    assert any("known tokens" in score["name"] for score in ours)
    values = [score["value"] for score in theirs]
    assert [score["value"] for score in ours] == pytest.approx(values, rel=0.01)
