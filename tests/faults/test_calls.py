"""Every call to the system that writes may fail or write less, and no disk is endless."""

from __future__ import annotations

import random

import pytest
from fault_commands import Command, export, train, translate
from fault_driver import EIO, ENOSPC, SHORT, Driver
from fault_limits import WHOLE, record

_WRITES = {"write", "pwrite", "pwrite64", "fwrite"}


@pytest.fixture(params=["train", "export", "translate"])
def command(request, subjects, toy, tmp_path) -> Command:
    if request.param == "train":
        return train(toy)
    if request.param == "export":
        return export(subjects["tagger"], subjects["export"])
    text = tmp_path / "text"
    text.write_text("the red cat\na dog sleeps\n" * 10)
    return translate(subjects["model"], text)


def disturb(driver: Driver, command: Command, folder, disturbances: list[dict]) -> list[str]:
    """Try the disturbances one by one. Returns what went wrong."""
    allowed, wrong = command.results(driver, folder), []
    for disturbance in disturbances:
        ended = command.start(driver, folder, **disturbance)
        if not ended.disturbed:
            why = "not disturbed"
        elif ended.code and not ended.refused(folder):
            why = f"code {ended.code}: {ended.err[-1500:]}"
        else:
            why = command.wrong(driver, folder, allowed)
        if why:
            wrong.append(f"{disturbance}: {why}")
    return wrong


def test_failing_calls(driver, command, tmp_path):
    folder = tmp_path / "place"
    calls = command.start(driver, folder).calls
    tried = [
        {"at": number, "what": what}
        for what in (ENOSPC, EIO, SHORT)
        for number, name in enumerate(calls, start=1)
        if what != SHORT or name in _WRITES
    ]
    if not WHOLE:
        tried = random.Random(1).sample(tried, 3)
    wrong = disturb(driver, command, folder, tried)
    record(f"failing and short calls ({command.name})", len(tried), len(tried) - len(wrong))
    assert wrong == []


def test_full_disks(driver, command, tmp_path):
    """The disk has room for a part of what the command writes."""
    folder = tmp_path / "place"
    written = command.start(driver, folder).written
    draw = random.Random(2)
    sizes = [0, written - 500, *(draw.randrange(1, written) for _ in range(38 if WHOLE else 0))]
    wrong = disturb(driver, command, folder, [{"room": size} for size in sizes])
    record(f"full disks ({command.name})", len(sizes), len(sizes) - len(wrong))
    assert wrong == []
