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
    """Return a copy of the values of a configuration, with all old key names replaced.

    If a name was replaced, one warning lists all replacements. Raises UserError if a configuration
    sets a key under both its old and its new name.

    where: The name of the configuration in messages.
    """
    migrated = deepcopy(values)
    hints = []
    for old, new in _RENAMED.items():
        section, old_name = _find(migrated, old)
        if old_name not in section:
            continue
        new_name = new.rpartition(".")[2]
        if new_name in section:
            raise UserError(f"{where}: {old} is the old name of the key {new}; remove {old}")
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
        _log.warning(
            "%s: this configuration uses old names of keys; replace them: %s",
            where,
            "; ".join(hints),
        )
    return migrated


def _find(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *sections, name = key.split(".")
    for section in sections:
        inner = values.get(section)
        values = inner if isinstance(inner, dict) else {}
    return values, name
