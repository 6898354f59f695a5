"""The names or numbers of the columns of a table, and the errors for missing columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from seq2seq.errors import UserError, did_you_mean
from seq2seq.text.example import Example
from seq2seq.text.values import require_line


class Columns(NamedTuple):
    """Two columns of a table: column names, or numbers from 1.

    source: the column of the source.
    target: the column of the target, of further references or of the features.
    key: the key of the configuration that names the target column, for messages. Empty if a
        trained model names the columns, so that the user of a command can only change the table.
    joiner: what stands between the items of a list in the target column.
    """

    source: str | int
    target: str | int
    key: str = "data.target_column"
    joiner: str = " "

    def names(self, location: str) -> tuple[str, str]:
        """Return the columns if all are names. Raises UserError for a column number."""
        if isinstance(self.source, str) and isinstance(self.target, str):
            return self.source, self.target
        if not self.key:
            raise UserError(
                f"{location}: the model was trained on column numbers, so it reads only TSV and "
                "CSV files; convert the table to TSV or CSV without a header"
            )
        raise UserError(
            f"{location}: data.source_column and {self.key} must both be names; use two numbers "
            "only for a TSV or CSV file without a header"
        )

    def check(self, names: Iterable[str], existing: list[str], location: str) -> None:
        """Raise UserError if one of the names does not exist, or names several columns."""
        for name in names:
            if name not in existing:
                shown = ", ".join(repr(column[:40]) for column in existing) or "none"
                raise UserError(
                    f"{location}: no column {name!r}; existing columns: {shown}; rename a column"
                    f"{self._advice(name)}{did_you_mean(name, existing)}"
                )
            if (count := existing.count(name)) > 1:
                raise UserError(
                    f"{location}: {count} columns are named {name!r}; rename all but one"
                )

    def _advice(self, name: str) -> str:
        """Return what else a user can do if a table has no column of this name."""
        if not self.key:
            return ", because the model was trained on a column of this name"
        if self.key != "data.target_column" and name != self.source:
            return f", or set {self.key}"
        return (
            ", or set data.source_column and data.target_column (to numbers such as 1 and 2 if a "
            "TSV or CSV file has no header)"
        )

    def example(self, source: object, target: object, location: str) -> Example:
        """Return the values of a row as text. Raises UserError as `require_line` does."""
        return Example(
            require_line(source, str(self.source), location),
            require_line(target, str(self.target), location, self.joiner),
        )

    def input_line(self, source: object, target: object, location: str) -> tuple[str, str | None]:
        """Return the values of a row as text, or None for a missing target.

        Raises UserError as `require_line` does.
        """
        return (
            require_line(source, str(self.source), location),
            None
            if target is None
            else require_line(target, str(self.target), location, self.joiner),
        )
