"""Convert configurations of older versions: rename keys and values that have changed."""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

from seq2seq.errors import UserError

_log = logging.getLogger(__name__)

_RENAMED = {
    "shape": "task",
    "training.average_decay": "training.ema_decay",
    "encoder.numbers": "encoder.vector_size",
}


def migrate(values: dict[str, Any], where: str) -> dict[str, Any]:
    """Return a copy of the values in which old keys have their current names.

    If a key was renamed, one warning lists all changes. `where` names the configuration in
    messages. Raises UserError if the old and the new name of a key are both set.
    """
    migrated = deepcopy(values)
    hints = []
    for old, new in _RENAMED.items():
        section, old_name = _find(migrated, old)
        if old_name not in section:
            continue
        new_name = new.rpartition(".")[2]
        if new_name in section:
            raise UserError(f"{where}: {old} is the old name of {new}; remove {old} and keep {new}")
        section[new_name] = section.pop(old_name)
        hints.append(f"{old} is now {new}")
    context = migrated.get("context")
    if (
        isinstance(context, dict)
        and context.get("kind") == "aligned"
        and migrated.get("task", "translation") == "translation"
    ):
        del context["kind"]
        migrated["task"] = "aligned"
        hints.append('context.kind = "aligned" is now task = "aligned"')
    if hints:
        _log.warning("%s: this configuration uses old names: %s", where, "; ".join(hints))
    return migrated


def _find(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Return the section that contains a dotted key, and the name of the key in it."""
    *sections, name = key.split(".")
    for section in sections:
        inner = values.get(section)
        values = inner if isinstance(inner, dict) else {}
    return values, name
