"""The tables of an opened export. A row is computed when its token is used for the first time.

The arrays have room for the whole vocabulary, but the operating system provides memory only for the
rows that are written. An export therefore opens at once, and a small text needs little memory.
"""

from __future__ import annotations

import mmap

import numpy as np

from seq2seq.export.sessions import Session


class TokenTables:
    """The tables (products of embeddings and weights) that one graph reads.

    arrays: the tables by name, [V, W] float32.
    """

    def __init__(self, prepare: Session, graph: Session, size: int) -> None:
        """Allocate the tables.

        prepare: the graph that computes rows of tables.
        graph: the graph that has the tables among its inputs.
        size: V, the size of the larger vocabulary.
        """
        self._prepare = prepare
        self._names = [name for name in prepare.outputs if name in graph.inputs]
        self.arrays = {name: _untouched_zeros(size, graph.width(name)) for name in self._names}
        self._known = np.zeros(size if self._names else 0, bool)

    def require(self, tokens: np.ndarray) -> None:
        """Compute the table rows of the given tokens, except for rows that exist already.

        tokens: token ids of any shape, int64. Numbers outside the vocabulary, such as the
            components of a vector, are ignored.
        """
        if not self._names or self._known.take(tokens, mode="clip").all():
            return
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


def _untouched_zeros(rows: int, columns: int) -> np.ndarray:
    """Return zeros, [rows, columns] float32. A page takes memory only once a row in it is written.

    `np.zeros` takes memory for all pages if the C library is set to keep freed memory.
    """
    pages = mmap.mmap(-1, max(1, rows * columns * 4))
    return np.frombuffer(pages, np.float32, rows * columns).reshape(rows, columns)
