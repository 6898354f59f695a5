"""The tables of an opened export: rows are computed when a token is first met.

The arrays have room for the whole vocabulary, but the system gives them memory only for the rows
that are written. So an export opens at once, and a small text needs little memory.
"""

from __future__ import annotations

import numpy as np

from seq2seq.export.sessions import Session


class TokenTables:
    """The tables that one graph looks up. arrays: [V, W] float32, by name."""

    def __init__(self, prepare: Session, graph: Session, size: int) -> None:
        """prepare: computes rows of tables. graph: has the tables among its inputs. size: V, of the
        larger vocabulary."""
        self._prepare = prepare
        self._names = [name for name in prepare.outputs if name in graph.inputs]
        self.arrays = {
            name: np.zeros((size, graph.shape(name)[1]), np.float32) for name in self._names
        }
        self._known = np.zeros(size if self._names else 0, bool)

    def require(self, tokens: np.ndarray) -> None:
        """Compute the rows of those tokens that were not met before.

        tokens: int64, any shape. The end behind a label, and the numbers of a vector, are no rows
        of a table.
        """
        inside = tokens[(tokens >= 0) & (tokens < len(self._known))]
        new = inside[~self._known[inside]]
        if not len(new):
            return
        wanted = np.zeros(len(self._known), bool)
        wanted[new] = True
        ids = np.flatnonzero(wanted)
        for name, rows in zip(
            self._names, self._prepare.run({"ids": ids}, self._names), strict=True
        ):
            self.arrays[name][ids] = rows
        self._known[ids] = True
