"""Configurations as TOML: read, checked and written.

Unknown keys and wrong values are refused, all of them at once, each with its key and, where one is
close, the right name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from seq2seq.config.data_paths import find_data
from seq2seq.config.migration import migrate
from seq2seq.config.schema import NEEDS_FILES, Config, Section
from seq2seq.errors import UserError, did_you_mean

_MEANT = re.compile("'(.+)'")
AnySection = TypeVar("AnySection", bound=Section)


def load_config(path: Path, settings: Iterable[str] = (), *, needs_files: bool = True) -> Config:
    """Read a configuration file and lay `section.key=value` settings over it.

    Paths in `[data]` are made absolute: against the file's folder, then `$SEQ2SEQ_DATA`.
    needs_files: it has to name a training set.

    Raises UserError for a file that is missing or no TOML, and for all unknown keys and wrong
    values together.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the path of a configuration") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as TOML: {error}") from None
    for setting in settings:
        _lay_over(values, setting)
    return find_files(parse_config(values, str(path), needs_files=needs_files), path.parent)


def parse_config(values: dict[str, Any], where: str, *, needs_files: bool = True) -> Config:
    """Check a whole configuration, one with older keys too; `where` names it in messages.

    needs_files: it has to name a training set. Raises UserError.
    """
    return validate_section(Config, migrate(values, where), where, {NEEDS_FILES: needs_files})


def find_files(config: Config, folder: Path) -> Config:
    """The configuration with absolute paths in `data`: against `folder`, then `$SEQ2SEQ_DATA`."""
    return config.model_copy(update={"data": find_data(config.data, folder)})


def validate_section(
    section: type[AnySection],
    values: dict[str, Any],
    where: str,
    context: dict[str, bool] | None = None,
) -> AnySection:
    """Check the values of one section, all of them at once; context: of the schema's validators.
    Raises UserError."""
    try:
        return section.model_validate(values, context=context)
    except ValidationError as error:
        problems = _complaints(error, section)
        # What does not fit together is looked for in sound values alone: so once more without the
        # unsound ones, of which nothing is to be said twice.
        rest, named_already = _without(values, error, section)
        try:
            section.model_validate(rest, context=context)
        except ValidationError as remaining:
            named = (
                re.compile(rf"\b({'|'.join(map(re.escape, named_already))})\b")
                if named_already
                else None
            )
            problems += [
                problem
                for problem in _complaints(remaining, section)
                if named is None or not named.search(problem)
            ]
        raise UserError(f"{where}: " + "; ".join(dict.fromkeys(problems))) from None


def dump_config(config: Config) -> str:
    """The configuration as TOML, with every value that its task uses."""
    unused = config.unused_sections
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True, exclude=unused))


def _without(
    values: dict[str, Any], error: ValidationError, schema: type[Section]
) -> tuple[dict[str, Any], set[str]]:
    """The values but for those that are wrong by themselves; and the names of these, those too that
    were meant."""
    rest, taken = deepcopy(values), set()
    for item in error.errors():
        if item["type"] == "value_error" and not isinstance(item["input"], str):
            continue  # of a section as a whole
        *sections, last = item["loc"]
        inner: Any = rest
        while sections and isinstance(inner.get(sections[0]), dict):
            inner = inner[sections.pop(0)]
        name = sections[0] if sections else last  # a member of a list or a union goes with it
        if name in inner:
            del inner[name]
            known = _keys(schema, [str(part) for part in item["loc"][:-1]])
            taken |= {str(name), *_MEANT.findall(did_you_mean(str(name), known))}
    return rest, taken


def _complaints(error: ValidationError, schema: type[Section]) -> list[str]:
    lines = []
    for item in error.errors():
        # A union's members are named in the location; the key is what a user wrote.
        location = [str(part) for part in item["loc"]]
        key = ".".join(part for part in location if part not in ("str", "int", "list[str]"))
        if item["type"] == "extra_forbidden":
            hint = did_you_mean(location[-1], _keys(schema, location[:-1]))
            lines.append(f"unknown key {key}{hint}")
        elif item["type"] == "missing":
            lines.append(f"{key} is missing")
        else:
            message = item["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            lines.append(f"{key}: {message}" if key else message)
            if item["type"] not in ("value_error",) and not isinstance(item["input"], dict):
                lines[-1] += f", not {item['input']!r}"
    return list(dict.fromkeys(lines))


def _keys(schema: type[Section], location: list[str]) -> list[str]:
    section: Any = schema
    for part in location:
        field = section.model_fields.get(part)
        if field is None or not isinstance(field.annotation, type):
            return []
        section = field.annotation
    return list(section.model_fields)


def _lay_over(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {setting}: write section.key=value")
    *sections, name = key.strip().split(".")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {setting}: {section} is no section")
        values = inner
    values[name] = value
