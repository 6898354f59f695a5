"""Worker processes: the lines stay in order, and the lines of a worker that dies are not lost."""

from __future__ import annotations

import errno
import logging
import os
import signal
from pathlib import Path

import pytest

import seq2seq
from seq2seq.decoding import worker_pool
from seq2seq.decoding.options import BeamOptions, GreedyOptions
from seq2seq.decoding.worker_pool import WorkerPool, WorkersDiedError
from seq2seq.errors import UserError
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model


@pytest.fixture(scope="module")
def export(attending: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exports") / "export"
    export_model(load_model(attending / "model"), path, "int8")
    return path


def windows(lines: list[str], size: int) -> list[list[str]]:
    return [lines[start : start + size] for start in range(0, len(lines), size)]


def test_jobs_give_the_same_lines_in_order(export, toy):
    lines = [*toy.lines("test.en"), "", *toy.lines("valid.en"), "the " * 40]
    search = BeamOptions(beam=3)
    expected = list(seq2seq.Translator.load(export).stream(lines, search))
    done: list[float] = []
    pool = WorkerPool([export], 2)
    found = list(pool.translate_windows(windows(lines, 7), search, advance=done.append))
    assert [r.best.text for r in found] == [r.best.text for r in expected]
    assert [r.best.score for r in found] == [r.best.score for r in expected]
    assert [r.notes for r in found] == [r.notes for r in expected]
    assert sum(done) == len(lines)


def test_the_lines_of_a_worker_that_dies_are_done_again(export, toy, monkeypatch, caplog):
    lines = toy.lines("test.en")
    plain, killed = worker_pool._Worker.ask, []

    def ask(worker, request):
        if request[0] == 10 and not killed:
            killed.append(worker.process.pid)
            os.kill(worker.process.pid, signal.SIGKILL)
        return plain(worker, request)

    monkeypatch.setattr(worker_pool._Worker, "ask", ask)
    with caplog.at_level(logging.WARNING):
        found = list(WorkerPool([export], 2).translate_windows(windows(lines, 5), GreedyOptions()))
    expected = seq2seq.Translator.load(export).translate(lines, beam=1)
    assert [result.best.text for result in found] == expected
    assert "a worker died (exit code -9): lines 11 to 15 are translated again" in caplog.text


def test_lines_that_kill_every_worker_are_named(export, monkeypatch):
    def ask(worker, request):
        worker.process.kill()
        worker.process.join()

    monkeypatch.setattr(worker_pool._Worker, "ask", ask)
    with pytest.raises(WorkersDiedError, match="lines 1 to 2: 3 workers died") as caught:
        list(WorkerPool([export], 1).translate_windows([["a", "b"]], GreedyOptions()))
    assert isinstance(caught.value, UserError)  # the command line prints one line


def test_a_worker_that_cannot_start_is_an_error(export, monkeypatch):
    def full(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(worker_pool._Worker, "__init__", full)
    with pytest.raises(UserError, match=r"cannot be started \(Too many open files\): use fewer"):
        list(WorkerPool([export], 2).translate_windows([["a"], ["b"]], GreedyOptions()))


def test_ctrl_c_does_not_reach_a_worker_that_starts(export, monkeypatch):
    plain = worker_pool._Worker.ask

    def ask(worker, request):
        os.kill(worker.process.pid, signal.SIGINT)
        return plain(worker, request)

    monkeypatch.setattr(worker_pool._Worker, "ask", ask)
    monkeypatch.setattr(worker_pool, "_TRIES", 1)
    (found,) = WorkerPool([export], 1).translate_windows([["the cat"]], GreedyOptions())
    assert found.best.text


def test_errors_reach_the_caller(export, tmp_path):
    def broken():
        yield ["the cat"]
        raise UserError("line 2 is broken")

    results = WorkerPool([export], 2).translate_windows(broken(), GreedyOptions())
    assert next(results).best.text
    with pytest.raises(UserError, match="line 2 is broken"):
        next(results)
    with pytest.raises(UserError, match="no such model folder"):
        list(WorkerPool([tmp_path / "none"], 2).translate_windows([["a"]], GreedyOptions()))


def test_the_command_line_takes_jobs(export, trained, toy, shell):
    text = "".join(line + "\n" for line in toy.lines("test.en")).encode()
    alone = shell("translate", export, "--scores", stdin=text)
    several = shell("translate", export, "--scores", "--jobs", 2, stdin=text)
    assert (several.code, several.out, several.err) == (0, alone.out, "")
    said = shell("translate", trained / "model", "--jobs", 2, stdin=text)
    assert said.code == 2
    assert "only an export" in said.err
