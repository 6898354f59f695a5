"""The exception `UserError` for mistakes of the user, and spelling hints for error messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can fix. The message says what is wrong, where, and what to do.

    The command line prints the message on one line, without a traceback, and exits with code 2. Any
    other exception is a bug, and the command line shows the traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows instead of a traceback: the message."""
        return [f"UserError: {self}"]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'hidden'?``, or "" if no known name is similar."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def closed_folder(folder: str | Path, error: OSError) -> UserError:
    """Return the error for a folder that this user may not enter."""
    return UserError(
        f"{folder}: the folder cannot be opened ({error.strerror}); ask its owner for the "
        "permission to read and enter it"
    )
