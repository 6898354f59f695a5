"""What a terminal shows of a training run: a bar that moves with each update, and the time left."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable

import pytest

from seq2seq.config.training_sections import TrainingConfig
from seq2seq.training import display as display_module
from seq2seq.training.display import ProgressDisplay
from seq2seq.training.run_training import train_model
from seq2seq.training.state import Counters

ROW = {"kind": "train", "epoch": 0, "update": 50, "loss": 1.0, "perplexity": 2.7,
       "tokens_per_second": 1000.0}  # fmt: skip
pytestmark = pytest.mark.usefixtures("no_picture")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch, caplog) -> Callable[[], Terminal]:
    """Call it in the test itself: pytest replaces stderr between setup and call."""
    caplog.set_level(logging.INFO)

    def start() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        return stream

    return start


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(display_module.time, "monotonic", lambda: now[0])
    return now


def shown(display: ProgressDisplay) -> tuple[float, str, str]:
    (task,) = display._bar._progress.tasks
    return task.completed, task.description, task.fields["left"]


def test_the_bar_moves_with_every_update_but_not_more_often_than_one_sees(terminal, clock):
    terminal()
    settings = TrainingConfig(updates=100)
    display = ProgressDisplay()
    moved = []
    for update in range(1, 41):
        clock[0] += 0.05
        display.show_position(settings, Counters(update=update, seconds=update), 20)
        moved.append(shown(display)[0])
    assert moved[0] == 0.01
    assert moved[-1] >= 0.36
    assert 8 <= len(set(moved)) <= 11  # in two seconds


def test_the_time_left_is_told_after_a_few_updates(terminal, clock):
    terminal()
    settings = TrainingConfig(updates=100, log_every=1000)
    display = ProgressDisplay()
    left = []
    for update in range(1, 11):
        clock[0] += 1
        # The first update takes a minute, as where kernels are compiled.
        counters = Counters(update=update, position=update, seconds=60 + 2 * update)
        display.show_position(settings, counters, 20)
        left.append(shown(display)[2])
    assert left[:5] == [""] * 5
    assert left[5:] == [f"3:0{n} left" for n in (8, 6, 4, 2, 0)]
    assert shown(display)[1] == "epoch 1  update 10"


def test_minutes_say_what_is_left_after_resuming(terminal, clock):
    terminal()
    settings = TrainingConfig(minutes=10)
    display = ProgressDisplay()
    for update in range(500, 507):
        clock[0] += 1
        display.show_position(settings, Counters(update=update, seconds=300 + update - 500), 20)
    done, _, left = shown(display)
    assert done == pytest.approx(0.51)
    assert left == "4:54 left"


def test_plain_lines_tell_it_too(caplog, clock):
    caplog.set_level(logging.INFO)
    settings = TrainingConfig(updates=100)
    display = ProgressDisplay()
    for update in range(1, 11):
        display.show_position(settings, Counters(update=update, seconds=2 * update), 20)
    display.show_training(ROW, settings, Counters(update=10, seconds=20), 20)
    assert caplog.messages == [
        "epoch 1  update 50  loss 1.000  ppl 2.70  1,000 tokens/s  3:00 left"
    ]


def test_a_run_shows_every_update(toy, tmp_path, monkeypatch):
    seen: list[int] = []

    def note(_, settings, counters, batches):
        seen.append(counters.update)

    monkeypatch.setattr(
        ProgressDisplay,
        "show_position",
        lambda _, settings, counters, __: seen.append(counters.update),
    )
    config = toy.config("training.updates=7", "validation.metric=loss")
    train_model(config, tmp_path / "run")
    assert seen == list(range(1, 8))


def test_a_run_on_a_terminal(toy, tmp_path, terminal):
    config = toy.config("training.updates=40", "training.log_every=5", "validation.metric=loss")
    screen = terminal()
    train_model(config, tmp_path / "run")
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    assert "validation at update 40" in plain
    assert "update 40" in plain
    assert "left" in plain


def test_minutes_alone_on_a_cosine_and_resumed(toy, tmp_path, caplog):
    """The rate falls to zero over the minutes, and goes on falling after a stop."""
    caplog.set_level(logging.INFO)
    limits = ("training.schedule=cosine", "training.warmup=0", "training.log_every=1",
              "training.patience=0", "validation.metric=loss")  # fmt: skip
    run = tmp_path / "run"

    def config(minutes):
        config = toy.config(*limits, f"training.minutes={minutes}")
        training = config.training.model_copy(update={"epochs": None})
        return config.model_copy(update={"training": training})

    train_model(config(0.02), run)
    assert "the learning rate depends on the elapsed time" in caplog.text
    rates = [row["learning_rate"] for row in rows(run)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.004, rel=0.3)
    assert rates[-1] < 0.0004
    before = len(rates)
    train_model(config(0.05), run, resume=True)
    after = [row["learning_rate"] for row in rows(run)][before:]
    assert after == sorted(after, reverse=True)
    assert after[0] < 0.004  # 0.02 of 0.05 minutes are over
    assert after[-1] < 0.0004


def rows(run):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [row for row in lines if row["kind"] == "train"]
