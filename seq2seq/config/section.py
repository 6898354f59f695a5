"""The base class of the sections of a configuration, and what several sections share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from seq2seq.tasks import TASKS, Task

Cell = Literal["rnn", "rnn-relu", "lstm", "gru"]
Precision = Literal["auto", "fp32", "bf16"]
Side = Literal["source", "target"]
SIDES: tuple[Side, ...] = ("source", "target")


def used_where(uses: Callable[[Task], bool]) -> dict[str, Any]:
    """Return the names of the tasks that use a key, as a value for pydantic's `json_schema_extra`.

    If a task allows only one value of a key, this value is listed in `Task.allowed` instead.
    """
    return {"tasks": [task.name for task in TASKS.values() if uses(task)]}


FOR_LANGUAGE_MODELS = used_where(lambda task: not task.has_source)
WITH_A_SOURCE = used_where(lambda task: task.has_source)
WITH_LABELS = used_where(lambda task: not task.has_target_text)
FROM_A_CONDITION = used_where(lambda task: task.source == "condition")
FROM_TEXT = used_where(lambda task: task.source in ("text", "words"))
TEXT_TO_TEXT = used_where(lambda task: task.source == "text" and task.has_target_text)
WITH_ATTENTION = used_where(
    lambda task: task.source == "text" and task.has_target_text and not task.same_length
)


if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as _ModelType
else:
    _ModelType = type(BaseModel)


class _SectionType(_ModelType):
    """The metaclass of all sections. It turns pydantic's errors in `Config(...)` into UserErrors.

    This needs the module `seq2seq.config.toml`. Without this module, pydantic's own error is
    raised.

    explain: a function that raises a UserError with all mistakes in the values of a section. Its
        arguments are the class of the section, the values and the name of the section.
    """

    explain: Callable[[type[Any], dict[str, Any], str], object] | None = None

    def __call__(cls, *arguments: Any, **values: Any) -> Any:  # noqa: N805 - of a metaclass
        """Return a new section with these values. Raise UserError if there are mistakes."""
        try:
            return super().__call__(*arguments, **values)
        except ValidationError:
            if _SectionType.explain is not None:
                _SectionType.explain(cls, values, cls.__name__)
            raise


def explain_mistakes(explain: Callable[[type[Any], dict[str, Any], str], object]) -> None:
    """Set the function that raises a UserError for mistakes in `Config(...)`."""
    _SectionType.explain = staticmethod(explain)


class Section(BaseModel, metaclass=_SectionType):
    """The base class of all sections. Sections reject changes, unknown keys, NaN and infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
