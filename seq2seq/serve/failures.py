"""The errors of work that is not the fault of the text, and how the server answers errors."""

from __future__ import annotations

from seq2seq.errors import UserError


class LostWorkersError(RuntimeError):
    """The error that several workers died over the same text."""


class OverloadedError(Exception):
    """The error that too many texts wait. retry_after: seconds until there is room again."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the server is busy: try again in {retry_after} seconds")
        self.retry_after = retry_after


def explain(error: Exception) -> tuple[int, str]:
    """Return the HTTP status and the text of an error of `Dispatcher.run`."""
    if isinstance(error, UserError):
        return 400, str(error)
    if isinstance(error, OverloadedError):
        return 429, f"Slowdown: {error}"
    if isinstance(error, LostWorkersError):
        return 500, str(error)
    return 500, "internal error: the log of the server says more"
