"""Functions that check the types of arguments and raise errors which say what to pass instead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def require_many(values: object, name: str) -> None:
    """Raise TypeError unless `values` is an iterable that is not a string.

    A string is refused because each of its characters would count as a separate value.

    name: the name of the argument in the message.
    """
    if isinstance(values, str | bytes):
        raise TypeError(f"{name} is a single string: pass a list of {name}")
    if not isinstance(values, Iterable):
        raise TypeError(f"{name} has the type {type(values).__name__}: pass a list of {name}")


def each_text(texts: Iterable[str], name: str) -> Iterator[str]:
    """Return an iterator over `texts` that raises TypeError for a text that is not a string.

    name: the name of the argument in messages.

    Raises TypeError before the iteration if `texts` is a single string or is not iterable.
    """
    require_many(texts, name)

    def check() -> Iterator[str]:
        for number, text in enumerate(texts, start=1):
            require_text(text, f"number {number} of {name}")
            yield text

    return check()


def require_text(value: object, where: str) -> None:
    """Raise TypeError unless `value` is a string. The message calls the value `where`."""
    if not isinstance(value, str):
        raise TypeError(f"{where} must be a string, but has the type {type(value).__name__}")
