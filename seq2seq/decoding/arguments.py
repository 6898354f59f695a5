"""Checks on what a caller passes in: each says what is wrong and what to pass instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def require_many(values: object, name: str) -> None:
    """Raises TypeError for one string, each character of which would count as a value, and for an
    object that cannot be iterated over. name: of the argument."""
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} is one string: give a list of {name}")
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} is {type(values).__name__}: give a list of {name}")


def each_text(texts: Iterable[str], name: str) -> Iterator[str]:
    """Pass on the texts.

    Raises TypeError at once for what `require_many` refuses, and while iterating for a text that is
    not a string.
    """
    require_many(texts, name)

    def check() -> Iterator[str]:
        for number, text in enumerate(texts, start=1):
            require_text(text, f"{name}, number {number}")
            yield text

    return check()


def require_text(value: object, where: str) -> None:
    """Raises TypeError for a value that is not a string."""
    if not isinstance(value, str):
        raise TypeError(f"{where}: {type(value).__name__}, not a string")
