"""Divide a batch that needs too much memory into smaller batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from seq2seq.errors import OutOfMemoryError

_log = logging.getLogger(__name__)
_Row = TypeVar("_Row")


class MemorySplits(Generic[_Row]):
    """Runs batches whose results do not depend on the size of the batch."""

    def __init__(self, describe: Callable[[_Row], str]) -> None:
        """Prepare to run batches.

        describe: Returns a description of a row, as the beginning of an error message.
        """
        self._describe = describe
        self._has_warned = False

    def run(self, rows: Sequence[_Row], work: Callable[[Sequence[_Row]], None]) -> None:
        """Call `work` with a batch. If there is too little memory, call it with both halves.

        The first time that a batch is divided, a warning says so. Raises OutOfMemoryError if a
        single row needs too much memory.
        """
        try:
            work(rows)
            return
        except (OutOfMemoryError, MemoryError) as error:
            problem = str(error)
        # Only now, because the exception keeps the memory of the failed attempt in use.
        if len(rows) == 1:
            raise OutOfMemoryError(
                f"{self._describe(rows[0])} need more memory than there is ({problem}); split the "
                "line, or free some memory"
            )
        if not self._has_warned:
            _log.warning(
                "too little memory for a batch of %d lines: continuing with smaller batches; a "
                "smaller --batch-size avoids this",
                len(rows),
            )
            self._has_warned = True
        middle = len(rows) // 2
        self.run(rows[:middle], work)
        self.run(rows[middle:], work)
