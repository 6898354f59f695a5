"""Errors such as an overloaded server, and the HTTP status and the message of each error."""

from __future__ import annotations

import re

from seq2seq.errors import OutOfMemoryError, UserError

_OPTION = re.compile(r"(?<!\w)--([a-z]+(?:-[a-z]+)*)")
_SETTING = re.compile(r" \([a-z]+\.[a-z_]+(?: = [^()]*)?\)")


class LostWorkersError(RuntimeError):
    """Several worker processes died, one after the other, while they worked on the same text."""


class OverloadedError(Exception):
    """Too many texts wait in the queue. retry_after: estimated seconds until the queue has room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the server is busy: try again in {retry_after} seconds")
        self.retry_after = retry_after


def explain(error: Exception) -> tuple[int, str]:
    """Return the HTTP status and the message for an error that `Dispatcher.run` raised."""
    if isinstance(error, OutOfMemoryError):
        return 503, "the server has too little memory for this request: send less text"
    if isinstance(error, UserError):
        return 400, name_keys(str(error))
    if isinstance(error, OverloadedError):
        return 429, f"Slowdown: {error}"
    if isinstance(error, LostWorkersError):
        return 500, str(error)
    return 500, "internal error: the log of the server says more"


def name_keys(message: str) -> str:
    """Return a message of a search with the keys of a request instead of command-line options.

    `--max-length` becomes `max_length`. Settings of the model such as `(context.kind)` are left
    out, because a client cannot change them.
    """
    return _OPTION.sub(lambda option: option[1].replace("-", "_"), _SETTING.sub("", message))
