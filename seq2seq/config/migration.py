"""Keys and values of older configurations, under the names that they have today."""

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
    """The values with today's keys. Logs one line that names what was renamed.

    where: the name of the configuration in messages. Raises UserError where an old and a new name
    of one key are both set.
    """
    migrated = deepcopy(values)
    hints = []
    for old, new in _RENAMED.items():
        section, old_name = _find(migrated, old)
        if old_name not in section:
            continue
        new_name = new.rpartition(".")[2]
        if new_name in section:
            raise UserError(f"{where}: {old} is the old name of {new}: set {new} alone")
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
        _log.warning("%s: old names are read: %s", where, "; ".join(hints))
    return migrated


def _find(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The section that a key belongs to, and its name there."""
    *sections, name = key.split(".")
    for section in sections:
        inner = values.get(section)
        values = inner if isinstance(inner, dict) else {}
    return values, name
