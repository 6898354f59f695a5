"""A model folder can be given away: others may read it, and it says nothing of this machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import tomllib
from pathlib import Path
from unittest import mock

import pytest
import yaml
from huggingface_hub import ModelCard

from seq2seq.config import toml
from seq2seq.config.data_paths import are_names_of, find_data, name_data, shorten_paths
from seq2seq.config.data_section import DataConfig
from seq2seq.config.model_data import find_model_data
from seq2seq.errors import UserError
from seq2seq.models.folder import load_model, load_model_config
from seq2seq.text.languages import language_code
from seq2seq.training import trainer
from seq2seq.training.run_training import train_model

SHORT = ("training.updates=3", "validation.lines=3", "tokenizer.vocabulary=300")


@pytest.fixture(scope="module")
def home(toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with a corpus, and a run in it, made under umask 022 by a command line that
    holds absolute paths."""
    folder = tmp_path_factory.mktemp("disk") / "home" / "alice"
    shutil.copytree(toy.folder, folder / "corpus")
    config = toml.load_config(folder / "corpus" / "toy.toml", [*SHORT, "license=cc-by-4.0"])
    words = ["train", f"{folder}/corpus/toy.toml", f"--out={folder}/runs/base", "--set"]
    words += [f'data.train=["{folder}/corpus/train.en", "{folder}/corpus/train.fr"]']
    before = os.umask(0o022)
    try:
        with mock.patch.object(trainer, "plot_curves"):
            train_model(config, folder / "runs" / "base", command=shlex.join(["seq2seq", *words]))
    finally:
        os.umask(before)
    return folder


@pytest.fixture
def model(home: Path) -> Path:
    return home / "runs" / "base" / "model"


def test_others_may_read_every_file(model: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in model.iterdir()}
    assert set(modes.values()) == {0o644}, modes
    assert stat.S_IMODE(model.stat().st_mode) == 0o755


def test_no_file_names_a_path_of_this_machine(model: Path, home: Path) -> None:
    for path in model.iterdir():
        content = path.read_bytes()
        for told in (str(home), "alice", "/home", str(home.parent.parent)):
            assert told.encode() not in content, path
    data = tomllib.loads((model / "config.toml").read_text())["data"]
    assert (data["train"], data["valid"], data["test"]) == ("train", "valid", "test")


def test_the_card_shows_the_command_without_folders(model: Path) -> None:
    shown = next(line for line in (model / "README.md").open() if "seq2seq train" in line)
    assert shlex.split(shown) == [
        *("seq2seq", "train", "toy.toml", "--out=base", "--set"),
        'data.train=["train.en", "train.fr"]',
    ]


def test_the_hub_reads_the_card(model: Path) -> None:
    card = ModelCard.load(model / "README.md")
    assert card.text.strip().startswith("# en → fr")
    data = card.data.to_dict()
    assert data["language"] == ["en", "fr"]
    assert data["license"] == "cc-by-4.0"
    assert data["library_name"] == "seq2seq"
    assert data["pipeline_tag"] == "translation"
    assert data["tags"] == ["seq2seq", "translation", "recurrent-neural-network", "gru"]
    assert data["metrics"] == ["bleu", "perplexity"]
    rows = map(json.loads, (model.parent / "metrics.jsonl").open())
    row = next(row for row in rows if row["kind"] == "valid" and row["best"])
    values = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert values == {"bleu": row["bleu"], "perplexity": pytest.approx(row["perplexity"])}
    # What the library writes again is the same, and nothing but YAML.
    front = (model / "README.md").read_text().split("---\n")[1]
    assert yaml.safe_load(front) == yaml.safe_load(card.data.to_yaml())


def test_sides_that_are_no_languages_are_not_in_the_card(speaking, trained) -> None:
    card = ModelCard.load(speaking / "model" / "README.md")
    assert card.data.language is None
    assert card.data.license is None
    assert card.data.metrics == ["perplexity"]
    assert card.data.pipeline_tag == "text-generation"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        *((code, code) for code in ("de", "zh", "cmn", "sw")),
        ("zh-CN", "zh"),
        ("deu_Latn", "deu"),
        ("EN", "en"),
        *((name, None) for name in ("tag", "text", "label", "src", "x", "", "en.bpe", "english")),
    ],
)
def test_codes_of_languages(name: str, code: str | None) -> None:
    assert language_code(name) == code


def test_evaluate_finds_the_set_beside_the_run_and_through_the_environment(
    model: Path, home: Path, shell, tmp_path, monkeypatch
) -> None:
    monkeypatch.delenv("SEQ2SEQ_DATA", raising=False)
    quick = ("--device", "cpu", "--threads", "1", "--beam", "1", "--json")
    here = shell("evaluate", model, *quick)
    assert here.code == 0, here.err
    away = shutil.copytree(model, tmp_path / "given" / "model")
    lost = shell("evaluate", away, *quick)
    assert lost.code == 2
    assert lost.err.count("\n") == 1
    assert f"data.test: no such file: {away}/test.en" in lost.err
    assert "or name the files: seq2seq evaluate MODEL SOURCE" in lost.err
    monkeypatch.setenv("SEQ2SEQ_DATA", str(home / "corpus"))
    there = shell("evaluate", away, *quick)
    assert there.code == 0, there.err
    assert json.loads(here.out)["scores"] == json.loads(there.out)["scores"]
    valid = shell("evaluate", away, "--split", "valid", *quick)
    assert valid.code == 0, valid.err


def test_a_neighbour_that_is_not_the_run_is_not_asked(model: Path, home, tmp_path, monkeypatch):
    monkeypatch.delenv("SEQ2SEQ_DATA", raising=False)
    away = shutil.copytree(model, tmp_path / "model")
    config = load_model_config(away)
    text = (home / "runs" / "base" / "config.toml").read_text()
    for neighbour in ("", "[data", text.replace("/test", "/another")):
        (tmp_path / "config.toml").write_text(neighbour)
        assert find_model_data(away, config).test == str(away / "test")
    (tmp_path / "config.toml").write_text(text)
    assert find_model_data(away, config).test == str(home / "corpus" / "test")


def test_a_loaded_model_differs_in_its_paths_alone(model: Path, home: Path) -> None:
    made = toml.load_config(home / "runs" / "base" / "config.toml")
    loaded = load_model(model).config
    assert loaded != made
    assert loaded.model_copy(update={"data": find_model_data(model, loaded)}) == made


def _data(**paths: object) -> DataConfig:
    return DataConfig.model_validate({"source": "de", "target": "en", **paths})


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        ({"train": "/a/b/train", "test": "/a/c/test"}, {"train": "train", "test": "test"}),
        ({"train": "/a/train/x.tsv", "test": "/a/test/x.tsv"},
         {"train": "train/x.tsv", "test": "test/x.tsv"}),
        ({"train": "/a/x", "valid": "/a/y", "test": "/a/y"},
         {"train": "x", "valid": "y", "test": "y"}),
        ({"train": "corpus/train"}, {"train": "corpus/train"}),
        ({"train": "../alice/train"}, {"train": "train"}),
        ({"train": ["/a/b.de", "/a/b.en"]}, {"train": ["b.de", "b.en"]}),
        ({"train": "/data/shared/sets/one/train"}, {"train": "one/train"}),
        ({"train": "/data/shared/sets/../secret/train"}, {"train": "train"}),
        ({"hub": "owner/name"}, {"hub": "owner/name"}),
        ({"hub": "/home/alice/name"}, {"hub": "./name"}),
    ],
    ids=str,
)  # fmt: skip
def test_names_of_data(paths, names, monkeypatch) -> None:
    monkeypatch.setenv("SEQ2SEQ_DATA", "/data/shared/sets")
    named = name_data(_data(**paths))
    assert named == _data(**names)
    if ".." not in str(paths):
        assert are_names_of(named, _data(**paths))
    assert not are_names_of(named, _data(train="/elsewhere/other"))


def test_the_first_place_that_has_the_file(tmp_path, monkeypatch) -> None:
    for folder in ("run", "model", "shared"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.de").touch()
    monkeypatch.setenv("SEQ2SEQ_DATA", str(tmp_path / "shared"))
    run = _data(train=str(tmp_path / "run" / "train"))
    for folder in ("run", "model", "shared"):
        data = find_data(_data(train="train"), tmp_path / "model", run)
        assert data.train == str(tmp_path / folder / "train")
        (tmp_path / folder / "train.de").unlink()
    assert find_data(_data(train="train"), tmp_path / "model", run) == run


@pytest.mark.parametrize(
    ("argument", "short"),
    [
        ("/home/alice/my corpus/x.toml", "x.toml"),
        ("--out=/home/alice/run/", "--out=run/"),
        ("../../home/alice/x.toml", "x.toml"),
        ("recipes/x/y.toml", "recipes/x/y.toml"),
        ("training.learning_rate=1/2", "training.learning_rate=1/2"),
        ("data.hub=owner/name", "data.hub=owner/name"),
        ("https://host/path/x", "https://host/path/x"),
    ],
)
def test_an_argument_without_folders(argument: str, short: str) -> None:
    assert shorten_paths(argument) == short


def test_a_licence_is_an_identifier() -> None:
    values = {"data": {"source": "a", "target": "b", "train": "c"}, "training": {"epochs": 1}}
    assert toml.parse_config({**values, "license": "mit"}, "here").license == "mit"
    with pytest.raises(UserError, match="license"):
        toml.parse_config({**values, "license": "The MIT licence"}, "here")
