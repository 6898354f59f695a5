"""Signals at any time end a command cleanly, also in its first two seconds."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from typing import Any

from fault_commands import train
from fault_limits import WHOLE, record
from fault_server import Server, start_command

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def interrupt(process: subprocess.Popen, number: int, after: float) -> tuple[int, str]:
    """Return the exit code and stderr of a process that gets a signal after some seconds."""
    time.sleep(after)
    process.send_signal(number)
    try:
        _, said = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        return 999, "the signal was lost: " + process.communicate()[1].decode()
    return process.returncode, said.decode()


def judge(number: int, code: int, said: str) -> str | None:
    """Why an end breaks the promise, or None. Before our code runs, Python writes a traceback."""
    if number == signal.SIGINT and code == 1 and said.startswith("Fatal Python error: init"):
        return None  # Python was initialising itself, as in `python -c pass`
    if code not in (128 + number, -number) or ("Traceback" in said and "__main__.py" in said):
        return f"signal {number}, code {code}: {said[-1500:]}"
    return None


def duration(arguments: list[Any]) -> float:
    """The seconds that a command takes. Signals that fit them reach each of its phases."""
    start = time.monotonic()
    start_command(arguments).communicate()
    return time.monotonic() - start


def moments(draw: random.Random, seconds: float, count: int) -> list[tuple[int, float]]:
    """Half of the signals arrive in the first two seconds."""
    latest = [2.0 if number % 2 else seconds for number in range(count)]
    return [(NUMBERS[i % 3], draw.uniform(0, most)) for i, most in enumerate(latest)]


def test_signals_to_train(driver, toy, tmp_path):
    """A run that is stopped again and again ends like one that is not."""
    folder, draw, wrong, count = tmp_path / "place", random.Random(6), [], 67 if WHOLE else 2
    command = train(toy, more=("training.updates=40", "validation.every=20"))
    allowed = command.results(driver, folder)
    shutil.rmtree(folder)
    folder.mkdir()
    seconds = duration(command.arguments(folder))
    shutil.rmtree(folder)
    folder.mkdir()
    begun = stopped = 0
    for number, after in moments(draw, seconds, count):
        code, said = interrupt(start_command(command.again(folder)), number, after)
        if code == 0 and "finished" in said:  # it was faster than the signal
            shutil.rmtree(folder)
            folder.mkdir()
        elif why := judge(number, code, said):
            wrong.append(why)
        begun += "resumed at" in said
        stopped += "is saved" in said
    if why := command.wrong(driver, folder, allowed):
        wrong.append(why)
    record("signals to train", count, count - len(wrong), f"{stopped} runs saved, {begun} resumed")
    assert wrong == []


def test_signals_to_translate(subjects, tmp_path):
    """The lines so far are kept."""
    draw, wrong, count = random.Random(7), [], 67 if WHOLE else 2
    out, part, text = tmp_path / "out", tmp_path / "out.part", tmp_path / "text"
    arguments = ["translate", subjects["model"], "-o", out, "--device", "cpu", "--beam", 1, text]
    text.write_bytes(b"the red cat\n")
    seconds = duration(arguments) + 2
    out.unlink()
    kept = 0
    text.write_bytes(b"the red cat\n" * 1_000_000)
    for number, after in moments(draw, seconds, count):
        process = start_command(arguments)
        code, said = interrupt(process, number, after)
        if code == 0 and out.exists():  # it was faster than the signal
            out.unlink()
            continue
        if why := judge(number, code, said):
            wrong.append(why)
        if out.exists() or ("so far are in" in said) != part.exists():
            wrong.append(f"signal {number}: wrong files: {said[-500:]}")
        kept += part.exists()
        part.unlink(missing_ok=True)
        for left in tmp_path.glob(".out.*"):
            wrong.append(f"signal {number} after {after:.2f} s: {left.name} is left")
            left.unlink()
    record("signals to translate -o", count, count - len(wrong), f"{kept} outputs kept")
    assert wrong == []


def test_signals_to_serve(subjects):
    """A server that listens ends with code 0; one that starts ends as other commands do."""
    draw, wrong, count = random.Random(8), [], 66 if WHOLE else 3
    for turn, (number, after) in enumerate(moments(draw, 2, count)):
        if turn % 2:
            with Server(subjects["export"], log=True) as server:
                code, said = interrupt(server.process, number, after / 4)
            good = code == 0 and "Traceback" not in said
        else:
            arguments = ["serve", f"en-fr={subjects['export']}", "--port", 0, "--jobs", 1]
            code, said = interrupt(start_command(arguments), number, after)
            good = code == 0 or judge(number, code, said) is None
        if not good:
            wrong.append(f"signal {number}, code {code}: {said[-1500:]}")
    record("signals to serve", count, count - len(wrong))
    assert wrong == []
