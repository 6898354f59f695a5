"""The values that a configuration takes over from a model (`seq2seq train --from`)."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from seq2seq.errors import UserError


@dataclass(frozen=True)
class Base:
    """The values of a model. They replace the defaults of the schema.

    model: the name of the model in messages.
    values: the values, as a dictionary of sections.
    """

    model: str
    values: Mapping[str, Any]

    def fill(self, values: dict[str, Any], where: str) -> dict[str, Any]:
        """Return the values of a configuration, with those of the model for the missing keys.

        where: the name of the configuration in messages. Raises UserError if the configuration
        names another task than that of the model.
        """
        task = self.values["task"]
        if (wanted := values.get("task", task)) != task:
            raise UserError(
                f"cannot start from the model {self.model}: its task is {task!r}, but the task of "
                f"{where} is {wanted!r}. Choose a model of this task, or train without --from"
            )
        return _fill(self.values, values)

    def explain(self, error: UserError, values: Mapping[str, Any]) -> UserError:
        """Add to the error of a configuration without a task that the task is the model's."""
        if "task" in values:
            return error
        return UserError(f"{error} (the model {self.model} has the task {self.values['task']!r})")


def _fill(base: Mapping[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with those of `base` for the keys that are missing, in all sections."""
    filled = {**deepcopy(dict(base)), **values}
    for name, inner in base.items():
        if isinstance(inner, Mapping) and isinstance(values.get(name), dict):
            filled[name] = _fill(inner, values[name])
    return filled
