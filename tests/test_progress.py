"""Bars on a terminal: what is shown, how often, and that nothing else ever sees them."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq import progress
from seq2seq.cli import line_io
from seq2seq.progress import show_progress, track

QUICK = ("--device", "cpu", "--threads", "1")
LINES = b"the red cat runs here\nthe old dog sleeps now\n\nthe big man eats\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """Without the codes that move the cursor."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue())


@pytest.fixture
def terminal(monkeypatch) -> Callable[[], Terminal]:
    """Call it in the test itself: pytest replaces stderr between setup and call."""

    def start() -> Terminal:
        stream = Terminal()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "120")
        return stream

    return start


def test_a_bar_counts_what_is_done(terminal):
    screen = terminal()
    with show_progress("counting", 1000) as advance:
        for _ in range(500):
            advance(2)
    assert "counting" in screen.text
    assert "of 1,000" in screen.text
    assert list(track(iter("abc"), "spelling")) == ["a", "b", "c"]
    assert "spelling" in screen.text


def test_the_bar_is_told_a_few_times_a_second(terminal, monkeypatch):
    from rich.progress import Progress

    terminal()
    told: list[float] = []
    monkeypatch.setattr(Progress, "update", lambda *_, completed, **__: told.append(completed))
    now = [5.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with show_progress("counting", 10_000) as advance:
        for _ in range(1000):
            now[0] += 0.001
            advance(1)
    assert 4 <= len(told) <= 6


def test_where_nobody_looks_there_is_nothing_in_between(capsys):
    items = [1, 2]
    assert track(items, "counting") is items
    with show_progress("counting") as advance:
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_quiet_and_output_on_the_terminal_show_nothing(terminal):
    screen = terminal()
    assert track([1], "counting", wanted=False) == [1]
    package = logging.getLogger("seq2seq")
    package.setLevel(logging.WARNING)
    try:
        with show_progress("counting") as advance:
            advance(1)
    finally:
        package.setLevel(logging.NOTSET)
    assert screen.text == ""


@pytest.mark.parametrize(
    ("content", "read", "left"),
    [(b"", 0, 0), (b"a\nb\n", 0, 2), (b"a\nb", 0, 2), (b"a\nb\nc\n", 2, 2)],
)
def test_lines_that_are_left(tmp_path, content, read, left):
    (tmp_path / "lines").write_bytes(content)
    with (tmp_path / "lines").open("rb", buffering=0) as stream:
        stream.seek(read)
        assert line_io._count_lines(stream) == left
        assert stream.read() == content[read:]


def _commands(trained: Path, speaking: Path, models: dict[str, Path]) -> dict[str, list[object]]:
    return {
        "translating": ["translate", trained / "model", *QUICK],
        "translating ": ["evaluate", trained / "model", "--beam", "1", *QUICK],
        "measuring": ["evaluate", speaking / "model", *QUICK],
        "labelling": ["classify", models["classify"], *QUICK],
        "labelling ": ["tag", models["tag"], *QUICK],
        "encoding": ["tokenizer", "encode", trained / "model"],
        "decoding": ["tokenizer", "decode", trained / "model"],
        "embedding": ["embed", models["classify"], *QUICK],
        "scoring": ["score", trained / "model", "{file}", "{file}", *QUICK],
        "learning": ["tokenizer", "train", "{file}", "-o", "{out}", "--kind", "char"],
        "labelling  ": ["tag", models["tag"], "{conllu}", *QUICK],
    }


@pytest.mark.parametrize(
    "what",
    [
        "translating",
        "translating ",
        "measuring",
        "labelling",
        "labelling ",
        "labelling  ",
        "encoding",
        "decoding",
        "embedding",
        "scoring",
        "learning",
    ],
)
def test_commands_show_it_on_a_terminal_alone(
    what, trained, speaking, models, shell, terminal, tmp_path
):
    (tmp_path / "lines").write_bytes(LINES)
    words = LINES.decode().split("\n")[0].split()
    rows = ["\t".join([str(n), word, *["_"] * 8]) for n, word in enumerate(words, start=1)]
    (tmp_path / "words.conllu").write_text("\n".join([*rows, "", ""]))
    files = {
        "{file}": tmp_path / "lines",
        "{out}": tmp_path / "out",
        "{conllu}": tmp_path / "words.conllu",
    }
    command = [files.get(str(part), part) for part in _commands(trained, speaking, models)[what]]
    plain = shell(*command, stdin=LINES)
    assert plain.code == 0, plain.err
    assert what.strip() not in plain.err
    screen = terminal()
    seen = shell(*command, stdin=LINES)
    assert (seen.code, _without_times(seen.out)) == (0, _without_times(plain.out))
    assert what.strip() in screen.text
    screen = terminal()
    quiet = shell(*command, "-q", stdin=LINES)
    assert (quiet.code, _without_times(quiet.out)) == (0, _without_times(plain.out))
    warnings = re.compile(r"(line \d+: \d+ of \d+ tokens unknown: .*\r?\n)*")  # -q keeps warnings
    assert warnings.fullmatch(screen.text)


def _without_times(text: str) -> str:
    return re.sub(r"[\d.,]+ (s|sentences|lines|rows|texts)\b.*", "", text)


def test_the_total_is_known_for_a_file(trained, shell, terminal):
    screen = terminal()
    assert shell("translate", trained / "model", *QUICK, stdin=LINES).code == 0
    assert "of 4" in screen.text


def test_training_shows_what_comes_before_it(toy, shell, terminal, tmp_path, no_picture):
    screen = terminal()
    settings = ["--set", "training.updates=2", "--set", "validation.metric=loss"]
    said = shell("train", toy.path, "--out", tmp_path / "run", *settings)
    assert said.code == 0
    for what in ("reading the corpus", "learning the vocabulary", "encoding the corpus"):
        assert what in screen.text
    stamp = json.loads((tmp_path / "run" / "data" / "prepared.json").read_text())
    assert stamp["counts"]["kept"] == 206
