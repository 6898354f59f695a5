"""What must hold of a configuration: one line tells all that is wrong, and nothing is guessed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.config.section import Section
from seq2seq.errors import UserError

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*/*.toml"))
LEAST = """\
[data]
source = "de"
target = "en"
train = "corpus/train"
[training]
epochs = 3
"""


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEQ2SEQ_DATA", raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "least.toml").write_text(LEAST)
    return tmp_path / "least.toml"


def complaint(path: Path, *settings: str) -> str:
    with pytest.raises(UserError) as caught:
        toml.load_config(path, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_mistakes_at_once(path: Path) -> None:
    path.write_text(
        """\
tsak = "translation"
[data]
source = "de"
train = ["one", "two", "three"]
[encoder]
hiden = 3
cell = "gruu"
layers = 0
dropout = nan
[trainin]
[training]
epochs = "many"
betas = [0.9, 1.5]
[training.colour]
"""
    )
    said = complaint(path)
    assert said.startswith(f"{path}: ")
    assert set(re.split("; (?!did you mean)", said.removeprefix(f"{path}: "))) == {
        "unknown key tsak; did you mean 'task'?",
        "data.target is missing",
        "unknown key encoder.hiden; did you mean 'hidden'?",
        "encoder.cell: input should be 'rnn', 'rnn-relu', 'lstm' or 'gru' (the value is 'gruu')",
        "encoder.layers: input should be greater than or equal to 1 (the value is 0)",
        "encoder.dropout: input should be a finite number (the value is nan)",
        "unknown key trainin; did you mean 'training'?",
        "training.epochs: input should be a valid integer, "
        "unable to parse string as an integer (the value is 'many')",
        "training.betas.1: input should be less than 1 (the value is 1.5)",
        "unknown key training.colour",
    }


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["data.train=[1, 2]"], "data.train.0: input should be a valid string (the value is 1)"),
        (
            ['data.train=["a"]'],
            "train: a list must name two files, the source file first, but this list names 1",
        ),
        (["data=3"], "data: input should be a valid dictionary"),
        (["data.hub_splits={dev = 'x'}"], "'train', 'valid' or 'test' (the value is 'dev')"),
        (["tokenizer.kind=char", "tokenizer.sampling=0.1"], "sampling needs tokenizer.kind"),
        (["decoder.tied=all", "tokenizer.joint=false"], "needs tokenizer.joint = true"),
        (["decoder.tied=all", "encoder.embedding=8"], "needs encoder.embedding = decoder.emb"),
        (["context.kind=dot", "decoder.hidden=8"], "'dot' needs decoder.hidden = 512"),
        (
            ["context.kind=multi-head", "context.size=500"],
            "context: the key size (500) must be a multiple of the key heads",
        ),
        (["context.kind=fixed", "context.placement=classic"], "'classic' needs attention"),
    ],
)
def test_what_does_not_fit_together(path: Path, settings: list[str], expected: str) -> None:
    assert expected in complaint(path, *settings)


LANGUAGE = """
task = "language-model"
[data]
train = "corpus.txt"
[decoder]
embedding = 8
hidden = 8
[training]
epochs = 3
"""


def test_a_language_model_is_written_without_what_it_has_not(path: Path) -> None:
    path.write_text(LANGUAGE)
    loaded = toml.load_config(path)
    assert loaded.validation.metric == "loss"
    assert (loaded.data.source, loaded.data.target) == ("", "text")
    written = toml.dump_config(loaded)
    assert "[encoder]" not in written
    assert "[context]" not in written
    path.write_text(written)
    assert toml.load_config(path) == loaded


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["encoder.hidden=8"], "task 'language-model' has no section [encoder]: leave it out"),
        (["context.size=8"], "task 'language-model' has no section [context]: leave it out"),
        (["data.source=de"], "task 'language-model' does not allow data.source = 'de': use ''"),
        (
            ["tokenizer.joint=false"],
            "task 'language-model' does not allow tokenizer.joint = false: use true",
        ),
        (
            ["tokenizer.sampling=0.1"],
            "task 'language-model' does not allow tokenizer.sampling = 0.1: use 0.0",
        ),
        (
            ["validation.metric=bleu"],
            "task 'language-model' does not allow validation.metric = 'bleu': use 'loss'",
        ),
        (
            ["decoder.tied=all"],
            "task 'language-model' does not allow decoder.tied = 'all': use 'none' or 'output'",
        ),
        (["decoder.hidden=9"], "decoder.tied = 'output' needs decoder.embedding = 9"),
        (["decoder.bidirectional=true"], "needs decoder.embedding = 16"),
        (
            ["training.window=5000"],
            "training.batch_tokens must not be smaller than training.window",
        ),
        (["task=translation"], "data.source"),
        (
            ["task=tagger"],
            "task: unknown task 'tagger'; did you mean 'tagging'?; "
            "choose one of 'translation', 'aligned', 'language-model',",
        ),
    ],
)
def test_what_does_not_fit_a_language_model(path: Path, settings: list[str], expected: str) -> None:
    path.write_text(LANGUAGE)
    assert expected in complaint(path, *settings)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            ["task=classification", "decoder.hidden=8"],
            "task 'classification' has no section [decoder]",
        ),
        (["task=tagging", "context.size=8"], "task 'tagging' has no section [context]"),
        (
            ["task=classification", "validation.metric=bleu"],
            "task 'classification' does not allow validation.metric = 'bleu': use 'accuracy' or ",
        ),
        (
            ["task=classification", "context.kind=dot"],
            "task 'classification' does not allow context.kind = 'dot': use 'fixed'",
        ),
        (
            ["task=generation", "encoder.kind=recurrent"],
            "task 'generation' does not allow encoder.kind = 'recurrent': use 'label' or 'vector'",
        ),
        (
            ["encoder.kind=label"],
            "task 'translation' does not allow encoder.kind = 'label': use 'recurrent'",
        ),
        (
            ["task=generation", "tokenizer.joint=false"],
            "task 'generation' does not allow tokenizer.joint = false: use true",
        ),
        (
            ["decoder.bidirectional=true"],
            "task 'translation' does not allow decoder.bidirectional = true: use false",
        ),
        (
            ["decoder.weight_dropout=0.1"],
            "task 'translation' does not allow decoder.weight_dropout = 0.1: use 0.0",
        ),
        (["context.kind=aligned", "context.placement=classic"], "kind 'same-position' has none"),
    ],
)
def test_what_does_not_fit_a_task(path: Path, settings: list[str], expected: str) -> None:
    assert expected in complaint(path, *settings)


@pytest.mark.parametrize("task", ["classification", "tagging", "generation"])
def test_every_task_is_written_and_read(path: Path, task: str) -> None:
    made = toml.load_config(path, [f"task={task}"])
    path.write_text(toml.dump_config(made))
    assert toml.load_config(path) == made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            LEAST.replace("epochs = 3", ""),
            "training: the length of the training is not set; set epochs, updates or minutes",
        ),
        (
            LEAST.replace('train = "corpus/train"', ""),
            "data: no training set: set the key train (files) or hub",
        ),
        (LEAST.partition("[training]")[0], "training is missing"),
        ("[data", "cannot be read as TOML"),
        ("\x00", "cannot be read as TOML"),
    ],
)
def test_what_is_missing(path: Path, text: str, expected: str) -> None:
    path.write_text(text)
    assert expected in complaint(path)


def test_what_cannot_be_read(path: Path) -> None:
    assert "this file does not exist" in complaint(path.parent / "nothing.toml")
    assert "cannot be read (" in complaint(path.parent)
    path.write_bytes(b"seed = \xff")
    assert "cannot be read as TOML" in complaint(path)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("seed=7", 7),
        ("encoder.hidden=12", 12),
        (" encoder.hidden = 12 ", 12),
        ("encoder.cell=lstm", "lstm"),
        ('encoder.cell="lstm"', "lstm"),
        ("encoder.dropout=1e-2", 0.01),
        ("encoder.bidirectional=false", False),
        ("training.betas=[0.5, 0.75]", (0.5, 0.75)),
        ("training.epochs=4", 4),  # over what the file says
        ("data.hub=a=b", "a=b"),
        ("data.hub_config=", ""),
        ("data.hub_splits.valid=dev", "dev"),
    ],
)
def test_settings_are_laid_over(path: Path, setting: str, expected: object) -> None:
    value: Any = toml.load_config(path, [setting])
    for name in setting.partition("=")[0].strip().split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    assert value == expected
    assert type(value) is type(expected)


def test_the_last_setting_counts(path: Path) -> None:
    assert toml.load_config(path, ["seed=2", "seed=3"]).seed == 3


def test_what_does_not_fit_together_is_said_beside_what_is_wrong_by_itself(path: Path) -> None:
    said = complaint(path, "encoder.hiden=3", "decoder.tied=all", "tokenizer.joint=false")
    assert "unknown key encoder.hiden; did you mean 'hidden'?" in said
    assert "decoder.tied = 'all' needs tokenizer.joint = true" in said
    said = complaint(path, "training.clip=-1", "validation.metric=accuracy")
    assert "training.clip: " in said
    refused = "task 'translation' does not allow validation.metric = 'accuracy'"
    assert f"{refused}: use 'bleu' or 'chrf' or 'ter' or 'exact-match' or 'wer' or" in said
    said = complaint(path, "validation.metric=acc")
    assert (
        "'bleu', 'chrf', 'ter', 'exact-match', 'wer', 'ser', 'loss' or 'perplexity' "
        "(the value is 'acc')"
    ) in said
    # What follows from a wrong value alone is not said: with a right one it may be no mistake.
    assert "the length of the training" not in complaint(path, "training.epochs=many")
    path.write_text(LEAST.replace("epochs", "epohcs"))
    assert "the length of the training" not in complaint(path)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("encoder.hidden", "write section.key=value"),
        ("=3", "write section.key=value"),
        ("encodr.hidden=3", "unknown key encodr; did you mean 'encoder'?"),
        ("encoder.hiddn=3", "unknown key encoder.hiddn; did you mean 'hidden'?"),
        ("seed.deep=3", "--set seed.deep=3: seed is a single value, not a section"),
        ("encoder.hidden=many", "encoder.hidden: input should be a valid integer"),
    ],
)
def test_wrong_settings(path: Path, setting: str, expected: str) -> None:
    path.write_text("seed = 1\n" + LEAST)
    assert expected in complaint(path, setting)


def test_paths(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the configuration first, then $SEQ2SEQ_DATA; never the current folder."""
    shared = tmp_path / "shared"
    monkeypatch.setenv("SEQ2SEQ_DATA", str(shared))
    monkeypatch.chdir(tmp_path.parent)
    (tmp_path / "corpus").mkdir()
    (shared / "corpus").mkdir(parents=True)

    def found(value: str) -> str | list[str] | None:
        return toml.load_config(path, [f"data.train={value}"]).data.train

    here, there = str(tmp_path / "corpus"), str(shared / "corpus")
    assert found("corpus/train") == here + "/train"  # nowhere: named where it should be
    # What only looks like the prefix does not count.
    for name in ("train.fr", "train.md", "traind.de"):
        (tmp_path / "corpus" / name).touch()
    (tmp_path / "corpus" / "train").mkdir()
    (shared / "corpus" / "train.de.gz").touch()
    assert found("corpus/train") == there + "/train"
    (tmp_path / "corpus" / "train.en").touch()
    assert found("corpus/train") == here + "/train"
    (shared / "corpus" / "a[b].tsv").touch()
    assert found("corpus/a[b].tsv") == there + "/a[b].tsv"
    assert found('["corpus/a[b].tsv", "corpus/train.en"]') == [
        there + "/a[b].tsv",
        here + "/train.en",
    ]
    assert found(f"{there}/train") == there + "/train"


def test_hub_paths(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on this disk where there is one, else the id as it stands."""
    monkeypatch.setenv("SEQ2SEQ_DATA", str(tmp_path / "shared"))

    def found() -> str | None:
        return toml.load_config(path, ["data.hub=owner/name"]).data.hub

    assert found() == "owner/name"
    (tmp_path / "shared" / "owner" / "name").mkdir(parents=True)
    assert found() == str(tmp_path / "shared" / "owner" / "name")
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert found() == str(tmp_path / "owner" / "name")


NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(
    names=st.tuples(NAME, NAME),
    train=NAME | st.lists(NAME, min_size=2, max_size=2),
    column=st.none() | NAME | st.integers(1, 9),
    rate=st.floats(0, 0.99),
    minutes=st.none() | st.floats(1e-3, 1e6),
    cell=st.sampled_from(["rnn", "lstm", "gru"]),
    joint=st.booleans(),
)
def test_written_and_read_it_is_the_same(
    names: tuple[str, str],
    train: str | list[str],
    column: str | int | None,
    rate: float,
    minutes: float | None,
    cell: str,
    joint: bool,
) -> None:
    values = {
        "data": {
            "source": names[0],
            "target": names[1],
            "train": train,
            "source_column": column,
            "hub_splits": {"train": names[0]},
        },
        "training": {"epochs": 2, "minutes": minutes, "ema_decay": rate},
        "encoder": {"cell": cell, "dropout": rate},
        "tokenizer": {"joint": joint},
    }
    made = toml.parse_config(values, "test")
    again = toml.parse_config(tomllib.loads(toml.dump_config(made)), "test")
    assert again == made
    assert toml.dump_config(again) == toml.dump_config(made)


def test_every_value_is_written_out() -> None:
    made = toml.parse_config(tomllib.loads(LEAST), "test")
    written = tomllib.loads(toml.dump_config(made))
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, Section):
            values = getattr(made, name)
            for key in section.model_fields:
                assert (key in written[name]) is (getattr(values, key) is not None), key


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_recipe_loads(recipe: Path) -> None:
    assert toml.load_config(recipe).data.train is not None


def test_there_are_recipes() -> None:
    assert RECIPES


def test_a_task_that_is_no_word(path: Path) -> None:
    with pytest.raises(UserError, match="task"):
        toml.load_config(path, ['task=["x"]'])


def test_a_config_built_in_python_reports_all_mistakes_in_one_line():
    import seq2seq

    with pytest.raises(UserError) as caught:
        seq2seq.Config(data={"source": "en", "targt": "fr"}, trainig={}, encoder={"hidden": 0})
    message = str(caught.value)
    assert message.startswith("Config: ")
    assert "\n" not in message
    for part in (
        "unknown key trainig; did you mean 'training'?",
        "unknown key data.targt; did you mean 'target'?",
        "encoder.hidden: input should be greater than or equal to 1",
    ):
        assert part in message
    data = {"source": "en", "target": "fr"}
    assert seq2seq.Config(data=data, training={"epochs": 1}).training.epochs == 1
    with pytest.raises(UserError, match=r"^TrainingConfig: the length of the training is not set"):
        type(seq2seq.Config(data=data, training={"epochs": 1}).training)()
