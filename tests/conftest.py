"""What all tests share."""

from __future__ import annotations

import io
import itertools
import logging
import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
import torch

from seq2seq import cli
from seq2seq.config import toml
from seq2seq.config.schema import Config
from seq2seq.models import folder
from seq2seq.text.codec import Codec
from seq2seq.text.labels import LabelSet, VectorFormat
from seq2seq.text.tokenizer import train_tokenizer
from seq2seq.training import trainer
from seq2seq.training.run_training import train_model

# A busy machine makes a slow case of any.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")
# A hook of git's says where its repository is: ours are others.
for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The networks here are tiny: one thread is the fastest, and leaves the other cores alone."""
    torch.set_num_threads(1)


_WORDS = [
    [("red", "rouge"), ("old", "vieux"), ("big", "grand"), ("blue", "bleu")],
    [("cat", "chat"), ("dog", "chien"), ("man", "homme"), ("horse", "cheval")],
    [("runs", "court"), ("sleeps", "dort"), ("eats", "mange"), ("reads", "lit")],
    [("here", "ici"), ("now", "maintenant"), ("well", "bien"), ("", "")],
]
_TOY = """
[data]
source = "en"
target = "fr"
train = "train"
valid = "valid"
test = "test"
max_tokens = 24
[tokenizer]
kind = "bpe"
vocabulary = 390
[encoder]
embedding = 32
hidden = 32
dropout = 0.0
embedding_dropout = 0.0
[context]
kind = "fixed"
heads = 4
size = 64
[decoder]
embedding = 32
hidden = 64
dropout = 0.0
embedding_dropout = 0.0
[training]
epochs = 40
batch_tokens = 120
learning_rate = 0.004
schedule = "plateau"
warmup = 100
label_smoothing = 0.0
patience = 0
threads = 1
device = "cpu"
precision = "fp32"
[validation]
every = 100
"""
_LANGUAGE = """
task = "language-model"
[data]
train = "train.fr"
valid = "valid.fr"
test = "test.fr"
[tokenizer]
kind = "word"
vocabulary = 60
character_coverage = 1.0
[decoder]
cell = "lstm"
embedding = 32
hidden = 32
dropout = 0.0
embedding_dropout = 0.0
[training]
epochs = 12
batch_tokens = 80
window = 10
learning_rate = 0.02
schedule = "constant"
warmup = 0
label_smoothing = 0.0
patience = 0
threads = 1
device = "cpu"
precision = "fp32"
"""


@dataclass(frozen=True)
class Toy:
    """A language of 256 sentences ("the red cat runs here" is "le chat rouge court ici") and a
    configuration that learns it in seconds: toy.toml, and train, valid, test in .en and .fr."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "toy.toml"

    def config(self, *settings: str) -> Config:
        return toml.load_config(self.path, settings)

    def language(self, *settings: str) -> Config:
        """Of a language model of its French."""
        return toml.load_config(self.folder / "language.toml", settings)

    def lines(self, name: str) -> list[str]:
        return (self.folder / name).read_text(encoding="utf-8").split("\n")[:-1]


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    folder = tmp_path_factory.mktemp("toy")
    pairs = [
        (f"the {a} {n} {v} {w}".strip(), f"le {m} {b} {u} {x}".strip())
        for (a, b), (n, m), (v, u), (w, x) in itertools.product(*_WORDS)
    ]
    random.Random(1).shuffle(pairs)
    for split, part in (("valid", pairs[:25]), ("test", pairs[25:50]), ("train", pairs[50:])):
        for side, name in enumerate(("en", "fr")):
            text = "".join(pair[side] + "\n" for pair in part)
            (folder / f"{split}.{name}").write_text(text, encoding="utf-8")
    (folder / "toy.toml").write_text(_TOY, encoding="utf-8")
    (folder / "language.toml").write_text(_LANGUAGE, encoding="utf-8")
    return Toy(folder)


@pytest.fixture(scope="session")
def trained(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a model that has learned the toy language; do not write there."""
    run = tmp_path_factory.mktemp("runs") / "toy" / "base"
    run.parent.mkdir()
    with mock.patch.object(trainer, "plot_curves"):
        train_model(toy.config(), run)
    return run


@pytest.fixture(scope="session")
def attending(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with attention, in fewer epochs."""
    run = tmp_path_factory.mktemp("runs") / "toy" / "attention"
    run.parent.mkdir()
    settings = ("context.kind=additive", "context.pooling=mean", "training.epochs=20")
    with mock.patch.object(trainer, "plot_curves"):
        train_model(toy.config(*settings), run)
    return run


@pytest.fixture(scope="session")
def speaking(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a language model that has learned the toy's French."""
    run = tmp_path_factory.mktemp("runs") / "toy" / "language"
    run.parent.mkdir()
    with mock.patch.object(trainer, "plot_curves"):
        train_model(toy.language(), run)
    return run


@pytest.fixture
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing curves takes longer than all the rest of a tiny run."""
    monkeypatch.setattr(trainer, "plot_curves", lambda *_: None)


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Shell = Callable[..., Said]


@pytest.fixture
def shell(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Shell:
    """Run the command line in this process, with all that `main` does around a command."""

    def run(*arguments: object, stdin: bytes = b"") -> Said:
        given = tmp_path / ".stdin"
        given.write_bytes(stdin)
        root = logging.getLogger()
        handlers, root.handlers = root.handlers, []  # so that `main` sets up its own
        level = root.level
        capfd.readouterr()
        try:
            with given.open("rb") as stream:
                monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
                monkeypatch.setattr(sys, "argv", ["seq2seq", *map(str, arguments)])
                cli.main()
            code = 0
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        finally:
            root.handlers = handlers
            root.setLevel(level)
            logging.getLogger("seq2seq").setLevel(logging.NOTSET)  # which -v and -q set
            torch.set_num_threads(1)
            given.unlink()
        out, err = capfd.readouterr()
        return Said(code, out, err)

    return run


def _random_model(
    where: Path, task: str, labels: LabelSet | VectorFormat, **sections: object
) -> Path:
    """A model folder with random weights."""
    torch.manual_seed(1)
    config = toml.parse_config(
        {
            "task": task,
            "data": {"train": "nowhere", "source": "x", "target": "y"},
            "tokenizer": {"kind": "char", "vocabulary": 60},
            "encoder": {"embedding": 8, "hidden": 8},
            "training": {"epochs": 1},
            **sections,
        },
        "here",
    )
    one = train_tokenizer(["the red cat runs here", "a dog sleeps"], config.tokenizer)
    folder.save_model(
        where, folder.build_model(config, Codec(one, one, config.task, labels)), "card\n"
    )
    return where


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model folder of each of the other tasks, with random weights."""
    where = tmp_path_factory.mktemp("models")
    names = LabelSet(["A", "B", "C"])
    small = {"context": {"size": 8}}
    decoder = {"decoder": {"embedding": 8, "hidden": 8}}
    return {
        "classify": _random_model(where / "classify", "classification", names, **small),
        "tag": _random_model(where / "tag", "tagging", names),
        "write": _random_model(where / "write", "generation", names, **small, **decoder),
        "colour": _random_model(
            where / "colour",
            "generation",
            VectorFormat(3),
            encoder={"kind": "vector", "embedding": 8},
            **small,
            **decoder,
        ),
    }
