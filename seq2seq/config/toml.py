"""Read, check and write configurations in TOML.

One error message reports all unknown keys and all wrong values of a configuration. For an unknown
key, the message suggests the most similar valid key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import ValidationError

from seq2seq.config.base import Base
from seq2seq.config.data_paths import find_data, find_vocabulary
from seq2seq.config.data_section import NEEDS_FILES
from seq2seq.config.migration import migrate
from seq2seq.config.schema import Config
from seq2seq.config.section import Section, explain_mistakes
from seq2seq.config.toml_file import parse_toml, read_toml
from seq2seq.errors import UserError, did_you_mean, file_error
from seq2seq.tasks import TASKS, TRANSLATION, Task

_MEANT = re.compile("'(.+)'")
_SHOWN = 200  # characters of a wrong value in a message
AnySection = TypeVar("AnySection", bound=Section)


def load_config(
    path: Path,
    settings: Iterable[str] = (),
    *,
    needs_files: bool = True,
    base: Base | None = None,
) -> Config:
    """Return the configuration in a TOML file, after overriding some of its values.

    Relative paths in `[data]` become absolute. A path is looked up in the folder of the
    configuration file first, then in `$SEQ2SEQ_DATA`.

    settings: The values to override, each in the form `section.key=value`.
    needs_files: Whether the configuration must name a training set.
    base: The values of the model that a run starts from, for the keys that are not set.

    Raises UserError if the file is missing, is not TOML, or has unknown keys or wrong values.
    """
    try:
        values = read_toml(path, regular=False)
    except FileNotFoundError:
        raise UserError(
            f"{path}: this file does not exist; give the path of a configuration file"
        ) from None
    except OSError as error:
        raise file_error("read", path, error) from None
    for setting in settings:
        _lay_over(values, setting)
    config = parse_config(values, str(path), needs_files=needs_files, base=base)
    return find_files(config, path.parent)


def read_config(path: Path) -> Config:
    """Return the configuration in a file that seq2seq wrote, such as config.toml of a model folder.

    Raises UserError if the file is not TOML, or has unknown keys or wrong values. Raises OSError if
    it cannot be read.
    """
    return parse_config(read_toml(path), str(path), needs_files=False)


def parse_config(
    values: dict[str, Any],
    where: str,
    *,
    needs_files: bool = True,
    base: Base | None = None,
) -> Config:
    """Check the values of a complete configuration and return the configuration.

    Old names of keys are replaced by their current names.

    where: The name of the configuration in messages.
    needs_files: Whether the configuration must name a training set.
    base: The values of the model that a run starts from, for the keys that `values` does not set.

    Raises UserError if there are mistakes. The message reports all mistakes together.
    """
    try:
        values = migrate(values, where)
        complete = values if base is None else base.fill(values, where)
        return validate_section(Config, complete, where, {NEEDS_FILES: needs_files})
    except RecursionError:
        raise UserError(f"{where}: the TOML values are nested too deeply; fix the file") from None
    except UserError as error:
        raise error if base is None else base.explain(error, values) from None


def find_files(config: Config, folder: Path) -> Config:
    """Return the configuration with absolute paths in `data` and in `tokenizer.model`.

    Relative paths are looked up in `folder` first, then in `$SEQ2SEQ_DATA`.
    """
    found = {
        "data": find_data(config.data, folder),
        "tokenizer": find_vocabulary(config.tokenizer, folder),
    }
    return config.model_copy(update=found)


def validate_section(
    section: type[AnySection],
    values: dict[str, Any],
    where: str,
    context: dict[str, bool] | None = None,
) -> AnySection:
    """Check the values of one section and return the section.

    where: The name of the configuration in messages.
    context: The validation context that pydantic passes to the validators of the schema.

    Raises UserError if there are mistakes. The message reports all mistakes together.
    """
    try:
        return section.model_validate(values, context=context)
    except ValidationError as error:
        task = TASKS.get(str(values.get("task", TRANSLATION.name)))
        problems = _complaints(error, section, task)
        # pydantic checks combinations of values only if each value is valid. So the wrong values
        # are removed and the rest is checked again. Keys that have been reported are not repeated.
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
                for problem in _complaints(remaining, section, task)
                if named is None or not named.search(problem)
            ]
        raise UserError(f"{where}: " + "; ".join(dict.fromkeys(problems))) from None


explain_mistakes(validate_section)


def dump_config(config: Config) -> str:
    """Return a configuration as TOML text, with only the sections that its task uses."""
    unused = config.unused_sections
    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True, exclude=unused))


def _without(
    values: dict[str, Any], error: ValidationError, schema: type[Section]
) -> tuple[dict[str, Any], set[str]]:
    """Return the values of a configuration without the wrong values, and the removed keys.

    If a removed key is misspelt, the removed keys also include the valid key that the user probably
    meant.
    """
    rest, taken = deepcopy(values), set()
    for item in error.errors():
        if item["type"] == "value_error" and not isinstance(item["input"], str):
            continue  # this error concerns a section as a whole, not one value
        *sections, last = item["loc"]
        inner: Any = rest
        while sections and isinstance(inner.get(sections[0]), dict):
            inner = inner[sections.pop(0)]
        name = sections[0] if sections else last  # an error in a list removes the whole list
        if name in inner:
            del inner[name]
            known = _keys(schema, [str(part) for part in item["loc"][:-1]])
            taken |= {str(name), *_MEANT.findall(did_you_mean(str(name), known))}
    return rest, taken


def _complaints(
    error: ValidationError, schema: type[Section], task: Task | None = None
) -> list[str]:
    """Return one text for each mistake that pydantic found.

    task: the task of the configuration. A text about a key lists only values that the task allows.
    """
    lines = []
    for item in error.errors():
        # pydantic adds the types of a union to the location. The user knows only the key.
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
            if item["type"] == "literal_error" and task is not None and key in task.allowed:
                *known, last = map(repr, task.allowed[key])
                message = f"input should be {', '.join(known)}{' or ' if known else ''}{last}"
            lines.append(f"{key}: {message}" if key else message)
            if item["type"] not in ("value_error",) and not isinstance(item["input"], dict):
                lines[-1] += f" (the value is {_shown(item['input'])})"
    return list(dict.fromkeys(lines))


def _shown(value: object) -> str:
    """Return the `repr` of a value for an error message. A long text is cut."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python refuses to write integers of 4,300 digits
        return "too long to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


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
        raise UserError(f"--set {setting}: not a setting; write section.key=value")
    *sections, name = key.strip().split(".")
    try:
        value = parse_toml(f"value = {text}")["value"]
    except ValueError:
        value = text  # text that is not a TOML value counts as a string
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UserError(
                f"--set {setting}: {section} is a single value, not a section; "
                f"write {section}=value"
            )
        values = inner
    values[name] = value
