"""Promise 3: resumed = uninterrupted, bit for bit, and promise 4: killed at any moment."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch

from seq2seq.errors import UserError
from seq2seq.text import preparation
from seq2seq.training import trainer
from seq2seq.training.checkpoint import Checkpoints
from seq2seq.training.distributed import Ranks
from seq2seq.training.epoch_batches import BatchPlanner
from seq2seq.training.run_folder import lock_folder
from seq2seq.training.run_training import train_model
from seq2seq.training.stopping import Interrupted

_TIMES = {"seconds", "window_start", "minutes", "tokens_per_second"}
# Sizes for speed; everything random is switched on.
_SMALL = (
    "encoder.hidden=16",
    "decoder.hidden=24",
    "encoder.dropout=0.2",
    "decoder.embedding_dropout=0.2",
    "training.word_dropout=0.1",
    "training.ema_decay=0.9",
    "training.log_every=7",
    "validation.lines=5",
    "validation.metric=loss",
)
_KINDS = {
    "gru, accumulated, BPE dropout, plateau, validated at each epoch": (
        "training.accumulate=2",
        "tokenizer.sampling=0.2",
        "training.schedule=plateau",
        "training.plateau_patience=1",
        "training.patience=2",
        "training.learning_rate=0.05",
        "training.epochs=4",
        "training.batch_tokens=200",
        "validation.every=0",
    ),
    "lstm, classic attention, unigram sampling, cosine, validated inside epochs, by BLEU": (
        "encoder.cell=lstm",
        "decoder.cell=lstm",
        "decoder.layers=2",
        "decoder.variational=true",
        "context.kind=additive",
        "context.placement=classic",
        "tokenizer.kind=unigram",
        "tokenizer.vocabulary=310",
        "tokenizer.sampling=0.3",
        "training.epochs=2",
        "training.batch_tokens=250",
        "validation.every=5",
        "validation.metric=bleu",
    ),
    "monotonic attention, R-Drop": (
        "context.kind=monotonic",
        "training.r_drop=1.0",
        "training.label_smoothing=0.1",
        "training.epochs=2",
        "training.batch_tokens=250",
        "validation.every=5",
    ),
    "copying, label smoothing, validated by BLEU": (
        "context.kind=additive",
        "decoder.copying=true",
        "decoder.cell=lstm",
        "training.label_smoothing=0.1",
        "training.epochs=2",
        "training.batch_tokens=250",
        "validation.every=5",
        "validation.metric=bleu",
    ),
    "a language model, its state carried on, accumulated, validated at each epoch": (
        "task=language-model",
        "decoder.cell=lstm",
        "decoder.layers=2",
        "decoder.weight_dropout=0.3",
        "training.accumulate=2",
        "training.ema_decay=0.9",
        "training.word_dropout=0.1",
        "training.log_every=7",
        "training.epochs=3",
    ),
    "a language model, validated inside epochs, SGD": (
        "task=language-model",
        "decoder.cell=gru",
        "decoder.dropout=0.2",
        "training.ema_decay=0.9",
        "training.optimizer=sgd",
        "training.log_every=7",
        "training.epochs=2",
        "validation.every=5",
    ),
}


def configured(toy, settings):
    if "task=language-model" in settings:
        return toy.language(*settings)
    return toy.config(*_SMALL, *settings)


pytestmark = pytest.mark.usefixtures("no_picture")


def ends_as(run: Path) -> dict[str, object]:
    """All that a run leaves, but for times."""
    (checkpoint,) = (run / "checkpoints").glob("update-*")
    counters = json.loads((checkpoint / "counters.json").read_text())
    hidden = checkpoint / "hidden.pt"
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_bytes().splitlines()]
    return {
        "counters": {k: v for k, v in counters.items() if k not in _TIMES},
        "rows": [{k: v for k, v in row.items() if k not in _TIMES} for row in rows],
        "weights": safetensors.torch.load_file(checkpoint / "weights.safetensors"),
        "ema": safetensors.torch.load_file(checkpoint / "ema.safetensors"),
        "optimizer": torch.load(checkpoint / "optimizer.pt", weights_only=True),
        "hidden": torch.load(hidden, weights_only=True) if hidden.exists() else None,
        "model": safetensors.torch.load_file(run / "model/model.safetensors"),
        "files": sorted(path.name for path in (run / "checkpoints").iterdir()),
    }


def same(one: object, other: object, where: str = "") -> None:
    """Equal, tensors to the bit; says where they are not."""
    if isinstance(one, torch.Tensor):
        assert isinstance(other, torch.Tensor)
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert isinstance(other, dict)
        assert one.keys() == other.keys(), where
        for key in one:
            same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other), where
        for at, (left, right) in enumerate(zip(one, other, strict=True)):
            same(left, right, f"{where}[{at}]")
    else:
        assert one == other, where


def stop_at(monkeypatch, update: int) -> None:
    """Let SIGTERM arrive in the middle of that update."""
    plain = trainer.Trainer.update

    def stopping(self, *arguments):
        if self.state.counters.update + 1 == update:
            signal.raise_signal(signal.SIGTERM)
        plain(self, *arguments)

    monkeypatch.setattr(trainer.Trainer, "update", stopping)


@pytest.fixture(scope="module", params=_KINDS.values(), ids=_KINDS.keys())
def kind(request, toy, tmp_path_factory):
    """A configuration, how an uninterrupted run of it ends, and the last update of its epoch."""
    config = configured(toy, request.param)
    run = tmp_path_factory.mktemp("whole") / "run"
    train_model(config, run)
    ended = ends_as(run)
    epochs = [row["epoch"] for row in ended["rows"] if row["kind"] == "train"]
    assert max(epochs) >= 1, "too short a run to show anything"
    judged = {row["update"] for row in ended["rows"] if row["kind"] == "valid"}
    assert len(judged) >= 2
    assert any(update % 7 for update in judged)  # with a log window half full
    prepared = preparation.prepare_data(config, run / "data", in_use=True)
    batches = len(BatchPlanner(config, prepared, Ranks())(0).plan)
    return config, ended, -(-batches // config.training.accumulate)


@pytest.mark.parametrize("random_seed", [None, 1, 2])
def test_a_stopped_run_goes_on_as_if_it_had_not(kind, random_seed, tmp_path, monkeypatch):
    config, ended, epoch = kind
    updates = ended["counters"]["update"]
    if random_seed is None:
        # At the first update, inside a log window, at its end, around a validation, at an epoch's
        # last update and the one after: one run that is stopped at each of them.
        last = next(row for row in ended["rows"] if row["kind"] == "valid")["update"]
        assert epoch < updates
        wanted = {1, 4, 7, last - 1, last, last + 1, epoch, epoch + 1, updates - 1}
        stops = sorted(stop for stop in wanted if 0 < stop < updates)
    else:
        stops = sorted(random.Random(random_seed).sample(range(1, updates), 2))
    for stop in stops:
        with monkeypatch.context() as patch:
            stop_at(patch, stop)
            with pytest.raises(Interrupted):
                train_model(config, tmp_path / "run", resume=stop != stops[0])
    train_model(config, tmp_path / "run", resume=True)
    same(ends_as(tmp_path / "run"), ended)


def test_what_was_logged_after_the_checkpoint_is_cut_off(kind, tmp_path, monkeypatch):
    config, ended, _ = kind
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 8)
        with pytest.raises(Interrupted):
            train_model(config, run)
    with (run / "metrics.jsonl").open("ab") as log:  # what a killed run may leave
        log.write(b'{"kind": "train", "update": 14, "loss": 1.0}\n{"kind": "tra')
    for left in (".data.1.part", "checkpoints/.update-00000009.1.part"):
        (run / left).mkdir()
        (run / left / "half").write_bytes(b"half")
    (run / ".config.toml.1.part").write_bytes(b"half")
    train_model(config, run, resume=True)
    same(ends_as(run), ended)
    assert not list(run.rglob("*.part"))


def test_a_finished_run_resumed_changes_nothing_and_may_be_extended(toy, tmp_path, monkeypatch):
    short = (*_SMALL, "training.schedule=inverse-sqrt", "validation.every=0")
    train_model(toy.config(*short, "training.epochs=1"), tmp_path / "run")
    before = ends_as(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "update", lambda *_: pytest.fail("trained on"))
        train_model(toy.config(*short, "training.epochs=1"), tmp_path / "run", resume=True)
    same(ends_as(tmp_path / "run"), before)
    longer = toy.config(*short, "training.epochs=2")
    train_model(longer, tmp_path / "run", resume=True)
    train_model(longer, tmp_path / "whole")
    same(ends_as(tmp_path / "run"), ends_as(tmp_path / "whole"))


def test_an_update_limit_at_an_epochs_end_validates_once(toy, tmp_path):
    short = (*_SMALL, "training.schedule=inverse-sqrt", "validation.every=0", "training.epochs=2")
    whole = tmp_path / "whole"
    train_model(toy.config(*short), whole)
    rows = ends_as(whole)["rows"]
    first = next(row["update"] for row in rows if row["kind"] == "valid")
    train_model(toy.config(*short, f"training.updates={first}"), tmp_path / "run")
    train_model(toy.config(*short), tmp_path / "run", resume=True)
    found = ends_as(tmp_path / "run")["rows"]
    assert [(r["kind"], r["update"], r["loss"]) for r in found] == [
        (r["kind"], r["update"], r["loss"]) for r in rows
    ]


def test_the_thread_count_of_the_beginning_is_set_again(kind, tmp_path, monkeypatch):
    config, _, _ = kind
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        with pytest.raises(Interrupted):
            train_model(config, tmp_path / "run")
    training = config.training.model_copy(update={"threads": 2, "updates": 3, "epochs": None})
    train_model(config.model_copy(update={"training": training}), tmp_path / "run", resume=True)
    assert torch.get_num_threads() == 1
    assert ends_as(tmp_path / "run")["counters"]["threads"] == 1


def test_other_data_under_a_begun_run_is_refused(toy, tmp_path, monkeypatch):
    for name in ("train", "valid", "test"):
        for side in ("en", "fr"):
            (tmp_path / f"{name}.{side}").write_bytes((toy.folder / f"{name}.{side}").read_bytes())
    (tmp_path / "toy.toml").write_text(toy.path.read_text())
    config = type(toy)(tmp_path).config(*_SMALL)
    with monkeypatch.context() as patch:
        stop_at(patch, 1)
        with pytest.raises(Interrupted):
            train_model(config, tmp_path / "run")
    (tmp_path / "train.en").write_bytes((tmp_path / "train.fr").read_bytes())
    with pytest.raises(UserError, match="have changed since the run started"):
        train_model(config, tmp_path / "run", resume=True)


def test_one_process_alone_trains_in_a_run(toy, tmp_path, no_picture):
    run, config = tmp_path / "run", toy.config("training.updates=1", "training.epochs=1")
    with lock_folder(run):
        with pytest.raises(UserError, match="another process is training in this folder"):
            train_model(config, run)
        assert run.is_dir()  # the folder is the one's that is in it
    assert not run.exists()  # nothing came of it
    train_model(config, run)
    shutil.rmtree(run / "checkpoints")
    weights = (run / "model" / "model.safetensors").read_bytes()
    with pytest.raises(UserError, match="holds a model but no checkpoint to resume from"):
        train_model(config, run, resume=True)
    assert (run / "model" / "model.safetensors").read_bytes() == weights


def test_each_start_is_written_down_where_something_is_left_to_do(toy, tmp_path, no_picture):
    for updates in (1, 1, 2):
        config = toy.config(f"training.updates={updates}")
        train_model(config, tmp_path / "run", resume=True)
    starts = (tmp_path / "run" / "starts.jsonl").read_text().splitlines()
    assert [json.loads(line).keys() for line in starts] == [{"hardware", "commit"}] * 2


def begin(toy, run: Path, settings: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """`seq2seq train` as a process of its own."""
    flags = [part for setting in settings for part in ("--set", setting)]
    return subprocess.Popen(
        [
            *(sys.executable, "-c", "from seq2seq.cli import main; main()"),
            *("train", toy.path, "--resume", "--out", run, *flags),
        ],
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_processes_stopped_and_killed_end_as_one_that_was_not(toy, tmp_path):
    often = ("training.epochs=6", "training.log_every=1", "validation.every=0")
    settings = (*_SMALL, *_KINDS[list(_KINDS)[1]], *often)
    whole, run = tmp_path / "whole", tmp_path / "run"
    train_model(toy.config(*settings), whole)
    moment = random.Random(7)
    for number, rows in ((signal.SIGTERM, 4), (signal.SIGKILL, 24)):
        process = begin(toy, run, settings)
        log = run / "metrics.jsonl"
        while process.poll() is None and (not log.exists() or log.read_bytes().count(b"\n") < rows):
            time.sleep(0.01)
        time.sleep(moment.uniform(0, 0.1))
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
        assert process.returncode == (143 if number == signal.SIGTERM else -signal.SIGKILL), said
        assert Checkpoints(run / "checkpoints")._all()
        assert ("saved, and --resume continues it" in said.decode()) == (number == signal.SIGTERM)
        assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert ends_as_far(run) < ends_as_far(whole)
    train_model(toy.config(*settings), run, resume=True)
    same(ends_as(run), ends_as(whole))


def ends_as_far(run: Path) -> str:
    return Checkpoints(run / "checkpoints")._all()[-1].name


def stands_at(run):
    (found,) = run.glob("checkpoints/update-*/counters.json")
    return json.loads(found.read_text())


def stopped_in_the_first_epoch(config, run, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Interrupted):
            train_model(config, run)
    assert (stands_at(run)["epoch"], stands_at(run)["position"]) == (0, 3)


@pytest.mark.parametrize(
    ("task", "changed"),
    [("pairs", "batch_tokens=60"), ("text", "batch_tokens=40"), ("text", "window=5")],
)
def test_other_batches_begin_the_epoch_anew(
    task, changed, toy, tmp_path, monkeypatch, no_picture, caplog
):
    made = toy.config if task == "pairs" else toy.language
    settings = ("validation.metric=loss", "training.epochs=1")
    stopped_in_the_first_epoch(made(*settings), tmp_path / "run", monkeypatch)
    with caplog.at_level("INFO"):
        train_model(made(*settings, f"training.{changed}"), tmp_path / "run", resume=True)
    assert "the batches are planned in another way than in the checkpoint" in caplog.text
    whole = made(*settings, f"training.{changed}")
    train_model(whole, tmp_path / "whole")
    assert stands_at(tmp_path / "run")["update"] == stands_at(tmp_path / "whole")["update"] + 3


@pytest.mark.parametrize(
    "changed",
    [
        "training.optimizer=sgd",
        *("validation.metric=loss", "validation.beam=3", "validation.lines=5"),
    ],
)
def test_what_a_run_cannot_change(changed, toy, tmp_path, monkeypatch, no_picture):
    settings = ("training.epochs=1", "validation.every=100")
    stopped_in_the_first_epoch(toy.config(*settings), tmp_path / "run", monkeypatch)
    with pytest.raises(UserError, match=f"with these changes: {changed.split('=')[0]} was"):
        train_model(toy.config(*settings, changed), tmp_path / "run", resume=True)


def test_a_run_that_was_configured_with_older_keys_goes_on(
    toy, tmp_path, monkeypatch, no_picture, caplog
):
    run, config = tmp_path / "run", toy.config("training.epochs=1", "training.ema_decay=0.9")
    stopped_in_the_first_epoch(config, run, monkeypatch)
    written = (run / "config.toml").read_text()
    older = (("task = ", "shape = "), ("ema_decay = ", "average_decay = "))
    for new, old in (*older, ("vector_size = ", "numbers = ")):
        assert written.count(new) == 1
        written = written.replace(new, old)
    (run / "config.toml").write_text(written)
    with caplog.at_level("INFO"):
        train_model(config, run, resume=True)
    assert "resumed with a changed setting" not in caplog.text
    assert "shape is now task" in caplog.text


def test_a_damaged_configuration_is_named(toy, tmp_path, monkeypatch, no_picture):
    run = tmp_path / "run"
    stopped_in_the_first_epoch(toy.config("training.epochs=1"), run, monkeypatch)
    (run / "config.toml").write_text("task = [")
    with pytest.raises(UserError, match=r"config\.toml: the file cannot be read as TOML"):
        train_model(toy.config("training.epochs=1"), run, resume=True)
