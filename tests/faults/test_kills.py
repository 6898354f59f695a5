"""Whatever is killed: nothing incomplete has a final name, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from fault_commands import export, train, translate
from fault_driver import KILL, KILL_INSIDE
from fault_limits import WHOLE, record
from fault_server import Load, Server

import seq2seq

TEXTS = ["the red cat", "a dog sleeps here", "now", "an old man reads\nthe cat"]


@pytest.mark.parametrize(("name", "count"), [("train", 300), ("export", 50), ("translate", 50)])
def test_killed_commands(driver, subjects, toy, tmp_path, name, count):
    """Half of the kills are aimed at calls that change files; the moments of the others vary."""
    text = tmp_path / "text"
    text.write_text("the red cat\na dog sleeps\n" * 10)
    command = {
        "train": lambda: train(toy),
        "export": lambda: export(subjects["tagger"], subjects["export"]),
        "translate": lambda: translate(subjects["model"], text),
    }[name]()
    folder, draw = tmp_path / "place", random.Random(3)
    allowed, wrong = command.results(driver, folder), []
    clean = command.start(driver, folder)
    count = count if WHOLE else 2
    for number in range(count):
        if number % 2:
            moment = draw.uniform(0, clean.seconds)
            ended = command.start(driver, folder, number=signal.SIGKILL, after=moment)
            how = f"killed after {moment:.3f} s"
        else:
            at, what = draw.randint(1, len(clean.calls)), draw.choice([KILL, KILL_INSIDE])
            ended = command.start(driver, folder, at=at, what=what)
            how = f"killed at call {at} ({clean.calls[at - 1]}), {what}"
        why = None
        if ended.code not in (0, -signal.SIGKILL):
            why = f"code {ended.code}: {ended.err[-1500:]}"
        if why := why or command.wrong(driver, folder, allowed):
            wrong.append(f"{how}: {why}")
    record(f"kill -9 ({command.name})", count, count - len(wrong))
    assert wrong == []


@pytest.fixture(scope="module")
def expected(subjects) -> dict[str, str]:
    translator = seq2seq.Translator.load(subjects["export"], device="cpu")
    return {text: "\n".join(translator.translate(text.split("\n"))) for text in TEXTS}


def is_running(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_killed_servers(subjects, expected):
    """Requests end with the right answer or with an error, and no worker is left."""
    count, draw, wrong = 25 if WHOLE else 1, random.Random(4), []
    for _ in range(count):
        with Server(subjects["export"]) as server:
            (worker,), load = server.workers(), Load(server, expected)
            time.sleep(draw.uniform(0, 1))
        load.stop()
        deadline = time.monotonic() + 30
        while is_running(worker) and time.monotonic() < deadline:
            time.sleep(0.05)
        if is_running(worker):
            wrong.append("a worker is left")
        if set(load.counts) - {"right", "lost"}:
            wrong.append(str(load.counts))
    record("kill -9 (the server under load)", count, count - len(wrong))
    assert wrong == []


def test_killed_workers(subjects, expected):
    """Every request is answered."""
    count, draw, wrong = 25 if WHOLE else 1, random.Random(5), []
    with Server(subjects["export"]) as server:
        load = Load(server, expected)
        try:
            for _ in range(count):
                time.sleep(draw.uniform(0, 1))
                before = load.counts["right"]
                (worker,) = server.workers()
                os.kill(worker, signal.SIGKILL)
                deadline = time.monotonic() + 60
                while load.counts["right"] < before + 8 or server.workers() in ([worker], []):
                    assert time.monotonic() < deadline, load.counts
                    time.sleep(0.05)
                if set(load.counts) - {"right"}:
                    wrong.append(str(load.counts))
                    load.counts.clear()
        finally:
            load.stop()
    record("kill -9 (the worker of a server under load)", count, count - len(wrong))
    assert wrong == []
