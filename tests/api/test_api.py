"""The public interface: every task from Python, in a thread, typed; and what misuse is told."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import datasets
import pytest
import typed_usage
from typed_usage import SENTENCES, Watch, configuration

import seq2seq
from seq2seq.config import toml
from seq2seq.models.folder import load_model_config
from seq2seq.training import bars
from seq2seq.training.bars import NotebookBar

pytestmark = pytest.mark.usefixtures("no_picture")

ROOT = Path(__file__).parent.parent.parent
PROGRAMS: dict[str, Callable[[Path], list[str]]] = {
    "translation": typed_usage.translation,
    "aligned": typed_usage.aligned,
    "language-model": typed_usage.language_model,
    "classification": typed_usage.classification,
    "tagging": typed_usage.tagging,
    "generation": typed_usage.generation,
    "vectors": typed_usage.generation_from_vectors,
}
KINDS = {
    "translation": "Translator",
    "aligned": "Translator",
    "language-model": "LanguageModel",
    "classification": "Classifier",
    "tagging": "Tagger",
    "generation": "Generator",
    "vectors": "Generator",
}
EVERY = pytest.mark.parametrize("name", PROGRAMS)


def in_a_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Callable[[str], tuple[Path, list[str]]]:
    """The model folder of each program and what it returned; each runs once, in a thread."""
    where = tmp_path_factory.mktemp("api")
    results: dict[str, list[str]] = {}

    def run(name: str) -> tuple[Path, list[str]]:
        if name not in results:
            results[name] = in_a_thread(lambda: PROGRAMS[name](where / name))
        return where / name / "model", results[name]

    return run


def use(model: Any, times: int = 1) -> list[Any]:
    """What any model makes of a few inputs."""
    lines = [source for source, _ in SENTENCES] * times
    if isinstance(model, seq2seq.Translator):
        return model.translate(lines, beam=3)
    if isinstance(model, seq2seq.LanguageModel):
        return [model.perplexity(lines).nll, *(model.generate(None, seed=i) for i in range(3))]
    if isinstance(model, seq2seq.Classifier):
        return model.classify(lines)
    if isinstance(model, seq2seq.Tagger):
        return model.tag(lines)
    vectors = model.translator.configs[0].encoder.kind == "vector"
    return [model.generate("1 0 0.5" if vectors else "cat", number=4, seed=i) for i in range(5)]


@EVERY
def test_train_load_and_use_in_a_thread(runs, name):
    model, written = runs(name)
    assert len(written) > 1
    assert all(isinstance(text, str) for text in written)
    config = load_model_config(model)
    assert config.data.train is None
    assert "training data: passed from Python" in (model / "README.md").read_text()


@EVERY
def test_load_gives_the_object_that_fits(runs, name):
    model, _ = runs(name)
    kind = getattr(seq2seq, KINDS[name])
    assert type(seq2seq.load(model, device="cpu", batch_size=2)) is kind
    assert use(seq2seq.load(str(model), device="cpu")) == use(kind.load(model, device="cpu"))
    for other in {getattr(seq2seq, one) for one in KINDS.values()} - {kind}:
        with pytest.raises(
            seq2seq.UserError, match=r"is a model of task .*: use this model with seq2seq"
        ):
            other.load(model)


@EVERY
def test_several_threads_use_one_object(runs, name):
    model = seq2seq.load(runs(name)[0], device="cpu", batch_size=3)
    alone = use(model, times=5)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda _: use(model, times=5), range(8)))
    assert all(one == alone for one in together)


@EVERY
def test_a_model_can_be_pickled(runs, name):
    model = seq2seq.load(runs(name)[0], device="cpu")
    copied = pickle.loads(pickle.dumps(model))
    assert type(copied) is type(model)
    assert use(copied) == use(model)


def test_typed_under_mypy_strict():
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", str(Path(typed_usage.__file__))],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert said.returncode == 0, said.stdout + said.stderr


def test_the_package_is_small_until_it_is_used():
    code = (
        "import sys, seq2seq; assert seq2seq.__version__;"
        "assert set(dir(seq2seq)) >= set(seq2seq.__all__);"
        "sys.exit(any(name in sys.modules for name in ('torch', 'pydantic', 'datasets')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    for name in seq2seq.__all__:
        assert getattr(seq2seq, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        seq2seq.nothing  # noqa: B018


def test_the_page_of_the_docs_runs(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    program = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    exec(compile(program, "docs/python.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out.startswith("runs/mine/base/model bleu ")


# Training from Python.


def quick(task: str = "translation", **sections: Any) -> dict[str, Any]:
    given = {**typed_usage.SMALL, **sections}
    return configuration(task, **{"data": {"source": "en", "target": "fr"}, **given})


def test_the_result_of_a_run(tmp_path):
    result = seq2seq.train(quick(), SENTENCES, SENTENCES[:3], out=tmp_path / "run")
    assert result.run == tmp_path / "run"
    assert result.model == tmp_path / "run" / "model"
    assert result.metric == "bleu"
    assert result.best_score is not None
    assert 0 <= result.best_score <= 100
    assert result.stopped_by == "3 epochs"
    rows = [row for row in seq2seq_rows(result.run) if row["kind"] == "valid"]
    assert result.best_score == [row["bleu"] for row in rows if row["best"]][-1]
    assert result.updates == rows[-1]["update"]
    assert pickle.loads(pickle.dumps(result)) == result


def test_the_best_loss_is_a_loss(tmp_path):
    config = quick(validation={"metric": "loss"})
    result = seq2seq.train(config, SENTENCES, SENTENCES[:3], out=tmp_path / "run")
    rows = [row for row in seq2seq_rows(result.run) if row["kind"] == "valid"]
    assert result.best_score == min(row["loss"] for row in rows)


def seq2seq_rows(run: Path) -> list[dict[str, Any]]:
    from seq2seq.files import read_jsonl

    return [row for _, row in read_jsonl(run / "metrics.jsonl")]


def weights(model: Path) -> bytes:
    return (model / "model.safetensors").read_bytes()


def test_memory_and_files_make_the_same_model(tmp_path, toy):
    files = toy.config("training.updates=4", "validation.metric=loss")
    from_files = seq2seq.train(files, out=tmp_path / "files")
    splits = {
        split: list(zip(toy.lines(f"{split}.en"), toy.lines(f"{split}.fr"), strict=True))
        for split in ("train", "valid", "test")
    }
    in_memory = seq2seq.train(files, **splits, out=tmp_path / "pairs")
    assert weights(in_memory.model) == weights(from_files.model)
    table = {
        split: datasets.Dataset.from_dict(
            {"en": [one for one, _ in pairs], "fr": [other for _, other in pairs]}
        )
        for split, pairs in splits.items()
    }
    of_datasets = seq2seq.train(files, **table, out=tmp_path / "datasets")
    assert weights(of_datasets.model) == weights(from_files.model)
    nested = files.data.model_copy(
        update={"source_column": "translation.en", "target_column": "translation.fr"}
    )
    records = {
        split: [{"translation": {"en": one, "fr": other}} for one, other in pairs]
        for split, pairs in splits.items()
    }
    of_records = seq2seq.train(
        files.model_copy(update={"data": nested}), **records, out=tmp_path / "records"
    )
    assert weights(of_records.model) == weights(from_files.model)


def test_a_path_is_a_configuration_too(tmp_path, toy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = seq2seq.train(toy.path, settings=["training.updates=2", "validation.metric=loss"])
    assert result.run == Path("runs") / toy.folder.name / "toy"
    assert result.stopped_by == "2 updates"
    assert (tmp_path / result.model / "config.toml").exists()


def test_a_configuration_is_left_as_it_was(tmp_path):
    config = quick()
    before = pickle.dumps(config)
    seq2seq.train(config, SENTENCES, SENTENCES[:3], out=tmp_path / "run")
    assert pickle.dumps(config) == before


def test_a_run_goes_on(tmp_path):
    whole = seq2seq.train(quick(), SENTENCES, SENTENCES[:3], out=tmp_path / "whole")
    watch = Watch(limit=4)
    parts = [SENTENCES, SENTENCES[:3]]
    stopped = seq2seq.train(quick(), *parts, out=tmp_path / "run", callbacks=[watch])
    assert stopped.stopped_by == "callback Watch"
    assert stopped.updates == 4
    assert len(watch.losses) == 2
    resumed = seq2seq.train(quick(), *parts, out=tmp_path / "run", resume=True)
    assert resumed.updates == whole.updates
    assert resumed.stopped_by == "3 epochs"
    assert weights(resumed.model) == weights(whole.model)
    with pytest.raises(seq2seq.UserError, match=r"the corpus or .* have changed since the run st"):
        seq2seq.train(quick(), SENTENCES[1:], parts[1], out=tmp_path / "run", resume=True)


def test_callbacks_hear_every_row(tmp_path):
    watch = Watch(limit=10**9)
    result = seq2seq.train(
        quick(), SENTENCES, SENTENCES[:3], out=tmp_path / "run", callbacks=[watch, watch]
    )
    rows = seq2seq_rows(result.run)
    losses = [row["loss"] for row in rows if row["kind"] == "train"]
    assert watch.losses == [loss for loss in losses for _ in range(2)]
    assert watch.validations[::2] == [row["update"] for row in rows if row["kind"] == "valid"]


def test_a_callback_stops_at_a_validation(tmp_path):
    class Enough(seq2seq.Callback):
        def on_validation(self, row):
            assert (tmp_path / "run" / "model").is_dir()
            raise seq2seq.StopTraining("good enough")

    result = seq2seq.train(
        quick(), SENTENCES, SENTENCES[:3], out=tmp_path / "run", callbacks=[Enough()]
    )
    assert result.stopped_by == "callback Enough: good enough"
    assert [row["kind"] for row in seq2seq_rows(result.run)].count("valid") == 1
    assert use(seq2seq.load(result.model, device="cpu"))


def test_a_run_that_is_stopped_at_once_has_a_model(tmp_path):
    result = seq2seq.train(
        quick(training={"log_every": 1}),
        SENTENCES,
        SENTENCES[:3],
        out=tmp_path / "run",
        callbacks=[Watch(limit=1)],
    )
    assert result.updates == 1
    assert result.best_score is not None
    assert use(seq2seq.load(result.model, device="cpu"))


@pytest.mark.parametrize(
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_in_the_main_thread_saves_the_run(tmp_path, number, raised):
    class Signal(seq2seq.Callback):
        def on_log(self, row):
            os.kill(os.getpid(), number)

    parts = (SENTENCES, SENTENCES[:3])
    with pytest.raises(raised):
        seq2seq.train(quick(), *parts, out=tmp_path / "run", callbacks=[Signal()])
    assert seq2seq_rows(tmp_path / "run")[-1]["update"] == 2
    resumed = seq2seq.train(quick(), *parts, out=tmp_path / "run", resume=True)
    whole = seq2seq.train(quick(), *parts, out=tmp_path / "whole")
    assert weights(resumed.model) == weights(whole.model)


def test_an_error_in_a_callback_comes_out(tmp_path):
    class Broken(seq2seq.Callback):
        def on_log(self, row):
            return 1 / 0

    with pytest.raises(ZeroDivisionError):
        seq2seq.train(quick(), SENTENCES, SENTENCES[:3], out=tmp_path / "run", callbacks=[Broken()])


def test_two_threads_that_train_do_not_disturb_each_other(tmp_path):
    def work(number: int) -> bytes:
        parts = (SENTENCES, SENTENCES[:3])
        return weights(seq2seq.train(quick(), *parts, out=tmp_path / f"run-{number}").model)

    with ThreadPoolExecutor(3) as pool:
        first, *others = pool.map(work, range(3))
    assert all(other == first for other in others)


# A notebook.


class Cell:
    """The output of a notebook's cell, as IPython.display writes to it."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def display(self, content: str, display_id: bool) -> Cell:
        assert display_id
        self.drawn.append(content)
        return self

    def update(self, content: str) -> None:
        self.drawn.append(content)


def test_a_bar_in_a_notebook(tmp_path, monkeypatch, capsys):
    cell = Cell()
    notebook, shown = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    notebook.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    notebook.display = shown
    shown.HTML, shown.display = str, cell.display
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    assert isinstance(bars.live_bar(), NotebookBar)
    in_a_thread(lambda: seq2seq.train(quick(), SENTENCES, SENTENCES[:3], out=tmp_path / "run"))
    assert '<progress max="1" value="0.0000">' in cell.drawn[0]
    assert "epoch 3" in cell.drawn[-1]
    assert "validation at update" in capsys.readouterr().out
    notebook.get_ipython = lambda: None
    assert bars.live_bar() is None


# Misuse.


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"train": "train.txt"}, TypeError, r"train must be a list of pairs .*data\.train"),
        ({"train": 3}, TypeError, r"train must be a list of pairs \(source, target\)"),
        ({"train": {"train": []}}, TypeError, "train must be .* dict; pass one of its splits"),
        ({"train": []}, seq2seq.UserError, "train: there are no examples; add at least one"),
        ({"train": ["a text"]}, seq2seq.UserError, "train, row 1: 'a text' is not a pair"),
        ({"train": [("a", "b"), ("a",)]}, seq2seq.UserError, "train, row 2: .* is not a pair"),
        ({"train": [("a", None)]}, seq2seq.UserError, "train, row 1: column 'fr' is null, not"),
        ({"valid": [("a", b"3")]}, seq2seq.UserError, "valid, row 1: column 'fr' is bytes, not te"),
        ({"train": [{"en": "a"}]}, seq2seq.UserError, "train, row 1: no column 'fr'"),
        ({"valid": None}, seq2seq.UserError, r"data.valid is not set; pass valid=\.\.\., or set"),
        ({"train": None}, seq2seq.UserError, "set the key train .files. or hub"),
        ({"out": None}, seq2seq.UserError, r"out is missing; give the run folder"),
        ({"config": 3}, TypeError, "config must be the path of a TOML file, .*, not int"),
        ({"config": "no.toml"}, seq2seq.UserError, "no.toml: this file does not exist"),
        ({"settings": ["seed=2"]}, TypeError, "settings works only with a configuration file"),
        (
            {"callbacks": [print]},
            TypeError,
            "is not an object with the methods on_log and on_validation",
        ),
        ({"callbacks": [Watch]}, TypeError, "give an instance of a subclass of seq2seq.Callback"),
        ({"callbacks": Watch(1)}, TypeError, "callbacks must be a list of callbacks, not Watch"),
        (
            {"config": {"data": {"sauce": 1}, "trainning": {}}},
            seq2seq.UserError,
            "unknown key data.sauce; did you mean 'source'.*unknown key trainning",
        ),
    ],
)
def test_mistakes_in_training(tmp_path, given, error, said):
    arguments = {
        "config": quick(),
        "train": SENTENCES,
        "valid": SENTENCES[:3],
        "out": tmp_path / "run",
        **given,
    }
    with pytest.raises(error, match=said) as caught:
        seq2seq.train(**arguments)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_mistakes_in_a_dataset(tmp_path):
    table = datasets.Dataset.from_dict({"en": ["a"], "fr": [None]})
    with pytest.raises(seq2seq.UserError, match="train, row 1: column 'fr' is null, not text"):
        seq2seq.train(quick(), table, SENTENCES, out=tmp_path / "run")
    with pytest.raises(seq2seq.UserError, match="valid: no column 'en'; existing columns: 'de'"):
        seq2seq.train(quick(), SENTENCES, table.rename_columns({"en": "de"}).remove_columns("fr"),
                      out=tmp_path / "run")  # fmt: skip


def test_mistakes_with_a_folder(tmp_path, runs):
    with pytest.raises(TypeError, match=r"load\(\) needs at least one model folder"):
        seq2seq.load()
    with pytest.raises(TypeError, match=r"load\(\) needs at least one model folder"):
        seq2seq.Translator.load()
    with pytest.raises(seq2seq.UserError, match="no such model folder"):
        seq2seq.load(tmp_path / "nothing")
    model, _ = runs("tagging")
    with pytest.raises(seq2seq.UserError, match="only translators can form an ensemble"):
        seq2seq.load(model, model)
    with pytest.raises(seq2seq.UserError, match="device 'gpu' is not available"):
        seq2seq.load(model, device="gpu")
    with pytest.raises(seq2seq.UserError, match="batch size must be at least 1"):
        seq2seq.load(model, batch_size=0)


def test_mistakes_in_use(runs):
    def opened(name: str) -> Any:
        return seq2seq.load(runs(name)[0], device="cpu")

    translator, tagger, generator = opened("translation"), opened("tagging"), opened("generation")
    language, classifier = opened("language-model"), opened("classification")
    one, many = seq2seq.GreedyOptions(), seq2seq.SamplingOptions()
    cases: list[tuple[Callable[[], Any], type[Exception], str]] = [
        (
            lambda: translator.translate("a line"),
            TypeError,
            "lines is a single string: pass a list",
        ),
        (lambda: translator.translate(3), TypeError, "lines has the type int: pass a list"),
        (lambda: translator.translate(["a", 3]), TypeError, "number 2 of lines must be a string"),
        (lambda: translator.translate(["a"], one, beam=3), TypeError, "cannot be combined"),
        (lambda: translator.translate(["a"], {"beam": 3}), TypeError, "but is dict"),
        (
            lambda: translator.translate(["a"], seq2seq.SearchOptions()),
            TypeError,
            "options must be GreedyOptions, .*, but is SearchOptions",
        ),
        (lambda: translator.translate(["a"], beam=0, top_k=2), seq2seq.UserError, "top-k.*; beam"),
        (lambda: translator.stream(["a"], 3), TypeError, "but is int"),
        (lambda: translator.score(["a"], []), seq2seq.UserError, "1 sources and 0 targets"),
        (lambda: classifier.classify("text"), TypeError, "texts is a single string"),
        (lambda: classifier.classify([None]), TypeError, "number 1 of texts must be a string"),
        (lambda: tagger.tag("a sentence"), TypeError, "sentences is a single string: pass a"),
        (lambda: tagger.tag([["a b"]]), seq2seq.UserError, "sentence 1: 'a b' is not a single wor"),
        (lambda: tagger.tag(["a", [3]]), TypeError, "sentence 2: a word has type int; every word"),
        (lambda: language.generate(3), TypeError, "prompt must be a string, but has the ty"),
        (lambda: language.generate(" "), seq2seq.UserError, "the prompt is empty"),
        (lambda: language.generate("a", one), TypeError, "but is GreedyOptions"),
        (lambda: language.generate("a", many, seed=2), TypeError, "cannot be combined"),
        (lambda: language.generate(top_p=2), seq2seq.UserError, "top-p must be .*, but is 2"),
        (lambda: language.perplexity([]), seq2seq.UserError, "the text: no tokens"),
        (lambda: language.perplexity([1]), TypeError, "number 1 of lines must be a string"),
        (lambda: generator.generate("cats"), seq2seq.UserError, "unknown label 'cats'; did you me"),
        (lambda: generator.generate("cat", number=0), seq2seq.UserError, "n-best must be at lea"),
        (lambda: generator.generate("cat", 2, many), TypeError, "cannot be combined"),
        (lambda: generator.generate(None), TypeError, "give a label .* or a vector"),
    ]
    for call, error, said in cases:
        with pytest.raises(error, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_configuration_that_names_no_files_is_for_python_alone(shell, tmp_path):
    (tmp_path / "memory.toml").write_text(
        toml.dump_config(toml.parse_config(quick(), "here", needs_files=False))
    )
    said = shell("train", tmp_path / "memory.toml", "--out", tmp_path / "run")
    assert said.code == 2
    assert "set the key train (files) or hub" in said.err
    result = seq2seq.train(tmp_path / "memory.toml", SENTENCES, SENTENCES[:3], out=tmp_path / "run")
    assert result.updates > 0
