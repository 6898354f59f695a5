"""Exceptions for mistakes of the user and for too little memory, and parts of messages."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path


class UserError(Exception):
    """A mistake that the user can fix. The message says what is wrong, where, and what to do.

    The command line prints the message on one line, without a traceback, and exits with code 2. Any
    other exception is a bug, and the command line shows the traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback: only the message."""
        return [f"UserError: {self}"]


class OutOfMemoryError(UserError):
    """A computation needs more memory than this process can get."""


class NoTokenError(UserError, ArithmeticError):
    """The model gives no token that the options permit a finite log-probability.

    row: the row of the sentence in the batch.
    """

    def __init__(self, row: int = 0) -> None:
        super().__init__(
            "the options permit no further token, or the model computes NaN: leave out "
            "--no-repeat-ngram, --min-length or --forbid, or use another model"
        )
        self.row = row


# How PyTorch, oneDNN, ONNX Runtime and C++ describe this problem in exceptions of general types.
_OUT_OF_MEMORY = re.compile(
    r"DefaultCPUAllocator|out of memory|bad.?alloc|Failed to allocate memory|allocate memory|"
    r"Unable to allocate|could not create a (memory|primitive)",
    re.IGNORECASE,
)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception of Python, PyTorch or ONNX Runtime means too little memory."""
    return isinstance(error, MemoryError | OutOfMemoryError) or (
        isinstance(error, Exception)
        and not isinstance(error, UserError)
        and _OUT_OF_MEMORY.search(str(error)) is not None
    )


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint such as ``; did you mean 'hidden'?``, or "" if no known name is similar."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, such as "1 line" or "2,000 lines"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def closed_folder(folder: str | Path, error: OSError) -> UserError:
    """Return the error for a folder that the user has no permission to open."""
    return UserError(
        f"{folder}: the folder cannot be opened ({error.strerror}); ask its owner for the "
        "permission to read and enter it"
    )


def file_error(verb: str, path: Path, error: OSError) -> UserError:
    """Return the error for a file that cannot be used. verb: "read" or "written"."""
    reason = error.strerror or str(error)
    check = "the path and the permissions"
    if verb == "written":
        check = "the path, the permissions and the disk space"
    return UserError(f"{path}: the file cannot be {verb} ({reason}); check {check}")
