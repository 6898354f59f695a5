"""Errors such as an overloaded server, and the HTTP status and the message of each error."""

from __future__ import annotations

from seq2seq.errors import UserError


class LostWorkersError(RuntimeError):
    """Several worker processes died, one after the other, while they worked on the same text."""


class OverloadedError(Exception):
    """Too many texts wait in the queue. retry_after: estimated seconds until the queue has room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the server is busy: try again in {retry_after} seconds")
        self.retry_after = retry_after


def explain(error: Exception) -> tuple[int, str]:
    """Return the HTTP status and the message for an error that `Dispatcher.run` raised."""
    if isinstance(error, UserError):
        return 400, str(error)
    if isinstance(error, OverloadedError):
        return 429, f"Slowdown: {error}"
    if isinstance(error, LostWorkersError):
        return 500, str(error)
    return 500, "internal error: the log of the server says more"
