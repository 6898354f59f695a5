"""-v and -q on every command."""

from __future__ import annotations

import logging

import click
import pytest

from seq2seq.cli import cli

QUICK = ("--device", "cpu", "--threads", "1")


def every_command() -> list[tuple[str, ...]]:
    context = click.Context(cli)
    commands: list[tuple[str, ...]] = [()]
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        commands.append((name,))
        if isinstance(command, click.Group):
            commands += [(name, inner) for inner in command.commands]
    return commands


@pytest.mark.parametrize("command", every_command(), ids=" ".join)
def test_every_command_has_both(shell, command):
    said = shell(*command, "--help")
    assert said.code == 0
    assert said.out.count("-v, --verbose") == 1
    assert said.out.count("-q, --quiet") == 1


@pytest.fixture
def train(shell, toy, tmp_path, no_picture):
    settings = ["--set", "training.updates=2", "--set", "validation.metric=loss"]
    numbers = iter(range(9))

    def run(*options, before=()):
        out = tmp_path / f"run-{next(numbers)}"
        return shell(*before, "train", toy.path, *settings, "--out", out, *options)

    return run


def test_training_says_more_or_less(train):
    usual = train()
    assert "validation at update 2" in usual.err
    assert "Python" not in usual.err
    for quiet in (train("-q"), train("--quiet"), train(before=["-q"])):
        assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    for verbose in (train("-v"), train(before=["--verbose"])):
        assert "validation at update 2" in verbose.err
        assert "Python" in verbose.err
        assert "torch" in verbose.err
    assert "Python" not in train().err  # a command leaves nothing to the next


def test_quiet_keeps_warnings_and_errors(shell, trained):
    model = trained / "model"
    said = shell("translate", model, *QUICK, "-q", stdin=b"the red \xff cat\n")
    assert said.code == 0
    assert "line 1 is not valid UTF-8" in said.err
    refused = shell("translate", model / "nowhere", *QUICK, "-q")
    assert refused.code == 2
    assert refused.err.startswith("error: ")


def test_quiet_says_not_what_was_written(shell, tmp_path):
    for number, option in enumerate(((), ("-q",))):
        said = shell("config", "-o", tmp_path / f"{number}.toml", *option)
        assert said.code == 0
        assert ("wrote" in said.err) is (not option)


@pytest.mark.parametrize("arguments", [("train", "-v", "-q", "x"), ("-v", "train", "x", "-q")])
def test_not_both(shell, arguments):
    said = shell(*arguments)
    assert said.code == 2
    assert said.err.endswith("error: -v and -q contradict each other; use only one of them\n")


def test_debugging_names_the_model(shell, trained):
    said = shell("translate", trained / "model", *QUICK, "-v", stdin=b"the red cat runs\n")
    assert said.code == 0
    assert f"{trained / 'model'}: model of task 'translation'" in said.err
    assert logging.getLogger("seq2seq").level == logging.NOTSET
