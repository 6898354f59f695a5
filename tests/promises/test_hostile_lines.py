"""Promise 1 through the real command: 2,000 hostile lines in, 2,000 lines out."""

import json
import os
import random
import re
import subprocess
import sys

import pytest

_LINES = 2000


def hostile(seed: int) -> list[bytes]:
    draw = random.Random(seed)
    words = ["the", "red", "cat", "runs", "here", "dog", "now"]

    def sentence(most=8):
        return " ".join(draw.choices(words, k=draw.randint(1, most)))

    kinds = [
        lambda: "",
        lambda: " " * draw.randint(1, 9),
        lambda: draw.choice(["\t", "\r", "\x0b\x0c", "\x1c", "\x85", "\u2028", "\u3000", "\xa0 "]),
        lambda: "".join(chr(draw.randint(0x1F300, 0x1FAFF)) for _ in range(draw.randint(1, 9))),
        lambda: f"{sentence()}\x00{sentence()}",
        lambda: "\x00",
        lambda: sentence() + draw.choice("\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e") + sentence(),
        lambda: "".join(chr(draw.randint(0x300, 0x36F)) for _ in range(draw.randint(1, 30))),
        lambda: f"\u202e{sentence()}\u202c שלום {chr(draw.randint(0x627, 0x64A))}",
        lambda: f"\t{sentence()}\t\t{sentence()}\t",
        lambda: f"{sentence()}\r",
        lambda: f"{sentence()}\r{sentence()}",
        lambda: "".join(chr(draw.randint(1, 9)) for _ in range(draw.randint(1, 6))),
        lambda: draw.choice(
            ["\u200b", "\ufeff", "\u200d\u200d", "\xad", "\ufffd", "▁", "⁇", "</s>"]
        ),
        lambda: "".join(chr(draw.randint(0x4E00, 0x9FFF)) for _ in range(draw.randint(1, 9))),
        lambda: sentence(20),
    ]
    lines = [draw.choice(kinds)().encode() for _ in range(_LINES - 164)]
    lines += [
        sentence().encode() + bytes(draw.choices(range(0x80, 0x100), k=3)) for _ in range(160)
    ]
    lines += [b"\xff", b"\xed\xa0\x80"]  # nothing else; a surrogate
    lines += [" ".join(draw.choices(words, k=5000)).encode(), b"x" * 5000]
    draw.shuffle(lines)
    assert len(lines) == _LINES
    assert not any(b"\n" in line for line in lines)
    return lines


@pytest.mark.parametrize(
    ("seed", "way", "run"),
    [(1, "file", "trained"), (2, "stdin", "trained"), (3, "file", "attending")],
)
def test_a_line_out_for_every_line_in(request, tmp_path, seed, way, run):
    model = request.getfixturevalue(run) / "model"
    lines = hostile(seed)
    given = tmp_path / "hostile"
    given.write_bytes(b"\n".join(lines) + (b"\n" if way == "file" else b""))
    command = [sys.executable, "-c", "from seq2seq.cli import main; main()", "translate"]
    options = ["--beam", "1", "--threads", "1", "--device", "cpu", str(model)]
    soft = tmp_path / "soft.jsonl"
    if run == "attending":
        options += ["--alignments", str(soft)]
    out = tmp_path / "out"
    done = subprocess.run(
        [*command, *options, *([str(given), "-o", str(out)] if way == "file" else [])],
        input=given.read_bytes() if way == "stdin" else b"",
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    written = out.read_bytes() if way == "file" else done.stdout
    assert written.endswith(b"\n")
    found = written.decode("utf-8").removesuffix("\n").split("\n")
    assert len(found) == _LINES
    for line, text in zip(lines, found, strict=True):
        assert bool(text.strip()) == bool(line.decode("utf-8", "replace").strip()), line
        assert not set("\r\t\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029") & set(text), line
    if run == "attending":
        rows = [json.loads(row) for row in soft.read_text("utf-8").split("\n")[:-1]]
        assert [row["line"] for row in rows] == list(range(1, _LINES + 1))
        assert all(sum(w) == pytest.approx(1, abs=1e-3) for row in rows for w in row["weights"])
    said = done.stderr.decode()
    gone = named_lines(said, ": the tokenizer found no tokens", "without tokens")
    assert {found[number - 1] for number in gone} == {"⁇"}
    assert gone >= {number for number, line in enumerate(lines, 1) if line == "\u200b".encode()}
    named = {int(number) for number in re.findall(r"line (\d+) is not valid UTF-8", said)}
    assert named == {number for number, line in enumerate(lines, 1) if not is_utf8(line)}
    long = named_lines(said, r": [\d,]+ subwords", ", translated in parts")
    assert {number for number, line in enumerate(lines, 1) if len(line) >= 5000} <= long


@pytest.mark.parametrize(("command", "seed"), [("classify", 4), ("tag", 5)])
def test_labels_for_every_line(shell, models, command, seed):
    lines = hostile(seed)
    said = shell(
        command, models[command], "--threads", 1, "--device", "cpu", stdin=b"\n".join(lines)
    )
    assert said.code == 0, said
    assert said.out.endswith("\n")
    found = said.out.removesuffix("\n").split("\n")
    assert len(found) == _LINES
    for line, labels in zip(lines, found, strict=True):
        words = line.decode("utf-8", "replace").split()
        assert len(labels.split()) == (len(words) if command == "tag" else bool(words)), line


def named_lines(said: str, text: str, summary: str) -> set[int]:
    """The lines that warnings name: the first ones in a warning each, the others in a summary."""
    found = {int(number) for number in re.findall(rf"line (\d+){text}", said)}
    for ranges in re.findall(rf"{summary}: ([\d, -]+)$", said, re.MULTILINE):
        for part in ranges.split(", "):
            first, _, last = part.partition("-")
            found |= {*range(int(first), int(last or first) + 1)}
    return found


def is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
