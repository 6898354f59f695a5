"""The table of tasks holds what the rest of the code relies on."""

import copy
import pickle

import pytest

from seq2seq.cli import _COMMANDS
from seq2seq.config.schema import Config
from seq2seq.config.toml import dump_config, parse_config
from seq2seq.errors import UserError
from seq2seq.tasks import TASKS, find_task

EVERY = pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
DATA = {"train": "x", "source": "a", "target": "b"}


def config_of(task, **sections):
    data = DATA if task.has_source else {"train": "x"}
    small = {"decoder": {"tied": "none"}} if not task.has_source else {}
    values = {"task": task.name, "data": data, "training": {"epochs": 1}, **small, **sections}
    return parse_config(values, "here")


@EVERY
def test_a_task_is_one_object_wherever_it_goes(task):
    config = config_of(task)
    assert config.task is task
    assert pickle.loads(pickle.dumps(config)).task is task
    assert copy.deepcopy(config).task is task
    assert parse_config(config.model_dump(mode="json", exclude=config.unused_sections), "x") == (
        config
    )
    assert f'task = "{task.name}"' in dump_config(config)


@EVERY
def test_keys_sections_and_commands_exist(task):
    assert set(task.commands) <= set(_COMMANDS)
    assert task.example.split("seq2seq ")[1].split()[0] in task.commands
    for section in (*task.sections, *task.defaults):
        assert section in Config.model_fields
    for key in (
        *task.allowed,
        *(f"{name}.{key}" for name, values in task.defaults.items() for key in values),
    ):
        section, name = key.split(".")
        assert name in Config.model_fields[section].annotation.model_fields, key


@EVERY
def test_what_is_not_allowed_is_refused_and_what_is_allowed_is_named(task):
    for key, allowed in task.allowed.items():
        section, name = key.split(".")
        field = Config.model_fields[section].annotation.model_fields[name]
        others = {bool: [True, False], float: [0.5], str: ["xx"]}.get(field.annotation)
        others = others or list(getattr(field.annotation, "__args__", []))
        for value in others:
            if value in allowed:
                continue
            part = {"data": DATA if task.has_source else {"train": "x"}, "training": {"epochs": 1}}
            part[section] = part.get(section, {}) | {name: value}
            with pytest.raises(
                UserError, match=rf"task '{task.name}' does not allow {key} = .*: use"
            ):
                config_of(task, **part)


def test_an_unknown_task_is_named_with_all_that_there_are():
    with pytest.raises(
        ValueError, match=r"unknown task 'taging'; did you mean 'tagging'\?; choose one of"
    ):
        find_task("taging")
    for wrong in ("taging", 3, ["tagging"]):
        with pytest.raises(UserError, match=r"task: unknown task") as refusal:
            parse_config(
                {"task": wrong, "data": DATA, "training": {"epochs": 1}, "encoder": {"hiden": 1}},
                "here",
            )
        assert "did you mean 'hidden'" in str(refusal.value)  # all mistakes at once


OLD = {
    "shape": "translation",
    "data": DATA,
    "context": {"kind": "aligned", "size": 8},
    "training": {"epochs": 1, "average_decay": 0.9},
}


def test_older_names_are_read_with_one_line(caplog):
    new = parse_config(
        {
            "task": "aligned",
            "data": DATA,
            "context": {"size": 8},
            "training": {"epochs": 1, "ema_decay": 0.9},
        },
        "new.toml",
    )
    assert caplog.messages == []
    assert parse_config(OLD, "old.toml") == new
    (line,) = caplog.messages
    assert line.startswith("old.toml: this configuration uses old names of keys; replace them: ")
    for part in ("shape is now task", "training.average_decay is now training.ema_decay"):
        assert part in line
    assert "shape" in OLD  # what was given is not changed
    vector = {"shape": "generation", "encoder": {"kind": "vector", "numbers": 2}, "data": DATA}
    assert parse_config({**vector, "training": {"epochs": 1}}, "x").encoder.vector_size == 2


def test_an_old_name_beside_its_new_one_is_refused():
    with pytest.raises(UserError, match="x: shape is the old name of the key task; remove shape"):
        parse_config({**OLD, "task": "translation"}, "x")
