"""The values that a configuration takes over from a model (`seq2seq train --from`)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from seq2seq.errors import UserError


@dataclass(frozen=True)
class Base:
    """The configuration of an existing model, whose values replace the defaults of the schema.

    model: the name of the model in messages.
    values: the values of the configuration, as a dictionary of sections.
    """

    model: str
    values: Mapping[str, Any]

    def fill(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Fill in the missing keys of a configuration with the values of the model.

        where: the name of the configuration in messages.

        Returns the completed values. Raises UserError if the configuration names another task than
        the task of the model.
        """
        task = self.values["task"]
        if (wanted := values.get("task", task)) != task:
            raise UserError(
                f"cannot start from the model {self.model}: its task is {task!r}, but the task of "
                f"{where} is {wanted!r}. Choose a model of the task {wanted!r}, or train without "
                "--from"
            )
        return _fill(self.values, values)

    def explain(self, error: UserError, values: Mapping[str, Any]) -> UserError:
        """Return an error about a configuration, and name the task of the model in its message.

        values: the values of the configuration. If they name a task, `error` is returned unchanged.
        """
        if "task" in values:
            return error
        return UserError(f"{error} (the model {self.model} has the task {self.values['task']!r})")


def _fill(base: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    filled = {**deepcopy(dict(base)), **values}
    for name, inner in base.items():
        if isinstance(inner, Mapping) and isinstance(values.get(name), dict):
            filled[name] = _fill(inner, values[name])
    return filled
