"""Every hostile line gets one line, from each engine, each task and the server."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_limits import WHOLE, record
from fault_server import Server

_BATCH = 10_000  # lines for each process
_FIXED = [
    *("", " ", "\t", "\r", "\x00", "\x1a", "\x7f", "\x85", "\u2028", "\u200b", "\ufeff", "\ufffd"),
    *("</s>", "<unk>", "<s>", "<2fr>", "⟨x⟩", "▁", "⁇", "<b>a</b>", "&#0;", "a\tb\tc", "\u202eab"),
]
_RANGES = [
    *((1, 9), (11, 31), (32, 126), (0x80, 0x24F), (0x300, 0x36F), (0x590, 0x6FF), (0xE00, 0xEFF)),
    *((0x1F1E6, 0x1F1FF), (0x1F300, 0x1FAFF), (0x200B, 0x200F), (0x4E00, 0x9FFF)),
    *((0xD800, 0xDFFF), (0xE000, 0xF8FF), (0xFE00, 0xFE0F), (0xE0001, 0xE007F), (0xFFF0, 0x10FFFF)),
]


def hostile_lines(seed: int, count: int) -> Iterator[bytes]:
    """Lines of bytes without a newline. Some of them are not UTF-8."""
    draw = random.Random(seed)
    for number in range(count):
        parts = []
        for _ in range(draw.randint(1, 4)):
            if draw.random() < 0.3:
                parts.append(draw.choice(_FIXED))
            else:
                first, last = draw.choice(_RANGES)
                parts += [chr(draw.randint(first, last)) for _ in range(draw.randint(1, 8))]
        line = draw.choice(["", " "]).join(parts).encode("utf-8", "surrogatepass")
        if number % 2000 == 1999:
            line = line * (20_000 // (len(line) or 1))
        elif draw.random() < 0.1:
            line += bytes(draw.choices(range(0x80, 0x100), k=3))
        yield line.replace(b"\n", b"")


def run(arguments: list[object], lines: list[bytes]) -> bytes:
    done = subprocess.run(
        [sys.executable, "-m", "seq2seq", *map(str, arguments)],
        input=b"".join(line + b"\n" for line in lines),
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr[-2000:].decode(errors="replace")
    return done.stdout


def check_lines(arguments: list[object]) -> Callable[[list[bytes]], None]:
    """Return a function that checks the lines of a command that writes one line for each line."""

    def check(lines: list[bytes]) -> None:
        written = run(arguments, lines).decode("utf-8")
        assert written.endswith("\n")
        found = written.removesuffix("\n").split("\n")
        assert len(found) == len(lines)
        assert not [text for text in found if set("\r\x00\x85\u2028\u2029") & set(text)]

    return check


def try_lines(name: str, whole: int, quick: int, check: Callable[[list[bytes]], None]) -> None:
    count = whole if WHOLE else quick
    for start in range(0, count, _BATCH):
        check(list(hostile_lines(start, min(_BATCH, count - start))))
    record(f"hostile lines ({name})", count, count)


@pytest.mark.parametrize(
    ("name", "whole", "quick"), [("export", 1_000_000, 400), ("model", 200_000, 200)]
)
def test_translate(subjects, name, whole, quick):
    options = ["--beam", 1, "--max-length", 5, "--threads", 1, "-q"]
    try_lines(name, whole, quick, check_lines(["translate", subjects[name], *options]))


@pytest.mark.parametrize("command", ["classify", "tag"])
def test_labels(models, command):
    arguments = [command, models[command], "--threads", 1, "--device", "cpu", "-q"]
    try_lines(command, 100_000, 200, check_lines(arguments))


def test_perplexity(models_of_text, tmp_path):
    def check(lines: list[bytes]) -> None:
        text = b"\n".join(lines).decode("utf-8", "replace").encode()
        path = tmp_path / "text"
        path.write_bytes(text + b"\n")
        said = run(["perplexity", models_of_text, path, "--device", "cpu", "-q"], [])
        assert said.startswith(b"perplexity ")

    try_lines("perplexity", 100_000, 200, check)


@pytest.fixture(scope="module")
def models_of_text(speaking: Path) -> Path:
    return speaking / "model"


def test_tokenizer(subjects):
    """Encoding and decoding give one line for each line."""

    def check(lines: list[bytes]) -> None:
        text = [line.decode("utf-8", "replace").encode() for line in lines]
        encoded = run(["tokenizer", "encode", subjects["model"]], text)
        rows = encoded.split(b"\n")[:-1]
        assert len(rows) == len(lines)
        decoded = run(["tokenizer", "decode", subjects["model"]], rows)
        assert decoded.count(b"\n") == len(lines)
        assert b"\0" not in decoded

    try_lines("tokenizer", 100_000, 200, check)


def test_the_server(subjects):
    with Server(subjects["export"]) as server:

        def check(lines: list[bytes]) -> None:
            texts = [line.decode("utf-8", "replace").replace("\r", " ") for line in lines]
            texts = [" ".join(text.splitlines())[:2000] for text in texts]
            for start in range(0, len(texts), 50):
                part = texts[start : start + 50]
                assert len(server.ask(part)) == len(part)

        try_lines("server", 100_000, 200, check)
