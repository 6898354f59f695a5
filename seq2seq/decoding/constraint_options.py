"""The options that constrain the text of a hypothesis. All search algorithms share them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict


class ConstraintValues(TypedDict, total=False):
    """The keyword arguments for the fields of `ConstraintOptions`."""

    target_prefix: str
    forbid: Sequence[str]
    require: Sequence[str]
    no_repeat_ngram: int
    stop: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class ConstraintOptions:
    """The options that constrain what a hypothesis may contain.

    target_prefix: the text that the translation of each line starts with.
    forbid: phrases that no translation contains. A phrase matches only whole words if the target
        language puts spaces between words: "cat" does not match "cats". However, a longer word that
        the model writes as "cat" and further subwords is excluded, too.
    require: phrases that each translation contains, in any order. They match whole words as in
        `forbid`.
    no_repeat_ngram: forbid to repeat a sequence of this many subwords (Paulus et al. 2018). 0
        allows repetitions.
    stop: strings at which a translation ends. The translation ends before the stop string.

    The constraints compare the text, not the subwords. They do not change the probabilities: a
    score is still Σ log p of the model, except that the end at a stop string costs nothing. If no
    hypothesis meets the constraints, the line gets a note.
    """

    target_prefix: str = ""
    forbid: Sequence[str] = ()
    require: Sequence[str] = ()
    no_repeat_ngram: int = 0
    stop: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ("forbid", "require", "stop"):
            value = getattr(self, name)
            texts = (value,) if isinstance(value, str) else tuple(dict.fromkeys(value))
            object.__setattr__(self, name, texts)

    @property
    def is_constrained(self) -> bool:
        """Return whether any constraint is set."""
        texts = self.target_prefix or self.forbid or self.require or self.stop
        return bool(texts or self.no_repeat_ngram)

    def constraint_problems(self) -> list[str]:
        """Return one message for each constraint that cannot be used."""
        problems = []
        if self.no_repeat_ngram < 0:
            problems.append(
                f"no-repeat-ngram must be at least 0 (0: off), but is {self.no_repeat_ngram}"
            )
        for name in ("forbid", "require"):
            if not all(text.strip() for text in getattr(self, name)):
                problems.append(f"a phrase of {name} is empty: write at least one word")
        if not all(self.stop):
            problems.append("a stop string is empty: write at least one character")
        for phrase in self.require:
            if phrase in self.forbid:
                problems.append(f"the phrase {phrase!r} is both required and forbidden")
        return problems


CONSTRAINTS = tuple(ConstraintValues.__annotations__)
"""The names of all constraints."""
