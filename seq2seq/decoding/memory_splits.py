"""Divide a batch that needs too much memory into smaller batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from seq2seq.errors import NoTokenError, OutOfMemoryError, UserError

_log = logging.getLogger(__name__)
_Row = TypeVar("_Row")


class MemorySplits(Generic[_Row]):
    """Divides batches that need too much memory. Results must not depend on the batch size."""

    def __init__(self, describe: Callable[[_Row], str]) -> None:
        """Prepare to run batches.

        describe: Returns a description of one element of a batch, which begins an error message.
        """
        self._describe = describe
        self._has_warned, self._problem = False, ""
        self._rows: Sequence[_Row] = []

    def batches(self, rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
        """Yield `rows` as one batch. If it needed too much memory, yield its two halves next.

        The caller runs each batch inside `with splits.attempt():`. The first time that a batch is
        divided, a warning says so. Raises OutOfMemoryError if a single row needs too much memory.
        """
        waiting = [rows]
        while waiting:
            self._rows = batch = waiting.pop()
            self._problem = ""
            yield batch
            if self._problem:
                middle = self._middle(batch)
                waiting += [batch[middle:], batch[:middle]]

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Suppress an out-of-memory error of the `with` block, and note that the batch failed.

        Raises UserError, naming the row, if the block raises NoTokenError.
        """
        try:
            yield
        except (OutOfMemoryError, MemoryError) as error:
            # Only the text, because the exception keeps the memory of the failed attempt in use.
            self._problem = str(error) or "MemoryError"
        except NoTokenError as error:
            raise UserError(f"{self._describe(self._rows[error.row])}: {error}") from None

    def _middle(self, rows: Sequence[_Row]) -> int:
        if len(rows) == 1:
            raise OutOfMemoryError(
                f"{self._describe(rows[0])} needs more memory than there is ({self._problem}); "
                "split the line, or free some memory"
            )
        if not self._has_warned:
            _log.warning(
                "there is too little memory for a batch of %d lines: translation continues with "
                "smaller batches; set a smaller --batch-size to avoid this warning",
                len(rows),
            )
            self._has_warned = True
        return len(rows) // 2
