"""The shortlist: the target tokens that can occur in the translation of a source.

For each source these are the most frequent target tokens, and those that a lexical table gives for
the source's own tokens. The output layer is computed for these alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seq2seq.errors import UserError
from seq2seq.export.lexical_table import Pair, learn_lexical_table

if TYPE_CHECKING:
    from seq2seq.models.folder import Model

_FILE = "shortlist.npy"
_FREQUENT = 128
_BEST = 24  # per source token


@dataclass(frozen=True)
class Shortlist:
    """table: [V source + 1, n] int32, the target tokens of each source token, then -1. The last row
    holds the most frequent target tokens, for every source."""

    table: np.ndarray

    def allowed(self, source: np.ndarray) -> np.ndarray:
        """The target tokens for a source, sorted. source: ids without EOS."""
        tokens = np.unique(np.concatenate([self.table[source].ravel(), self.table[-1]]))
        return tokens[np.searchsorted(tokens, 0) :]

    def save(self, folder: Path) -> None:
        """Write the table into the folder of an export."""
        np.save(folder / _FILE, self.table, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, sizes: tuple[int, int]) -> Shortlist:
        """Read the table of an export. sizes: the vocabularies of source and target. Raises
        UserError if the table does not fit them."""
        path = folder / _FILE
        try:
            table = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: cannot be read as a table of numbers ({error})") from None
        fits = table.ndim == 2 and table.dtype == np.int32 and len(table) == sizes[0] + 1
        if not fits or table.min(initial=0) < -1 or table.max(initial=0) >= sizes[1]:
            raise UserError(
                f"{path}: the shortlist does not fit the vocabulary of {sizes[0]} source and "
                f"{sizes[1]} target tokens: export the model again"
            )
        return cls(table)


def learn_shortlist(model: Model) -> Shortlist:
    """Learn a shortlist from the training pairs that a model's configuration names.

    Raises UserError for a task without source and target texts, and if the pairs cannot be read.
    """
    codec, task = model.codec, model.config.task
    if task.source != "text" or not task.has_target_text:
        raise UserError(
            f"--shortlist: a model of task {task.name!r} does not translate: leave it out"
        )
    counts: Counter[int] = Counter()
    sizes = len(codec.source), len(codec.target)
    best = learn_lexical_table(_counted(model, counts), sizes, _BEST)
    width = max(_FREQUENT + 1, _BEST + 1)
    table = np.full((sizes[0] + 1, width), -1, np.int32)
    table[:-1, :_BEST] = best
    if codec.source == codec.target:  # names and numbers are often copied
        table[:-1, _BEST] = np.arange(sizes[0])
    frequent = [codec.target.eos, *(token for token, _ in counts.most_common(_FREQUENT))]
    table[-1, : len(frequent)] = frequent
    return Shortlist(table)


def _counted(model: Model, counts: Counter[int]) -> Iterable[Pair]:
    """The ids of the training pairs; counts the target's."""
    from seq2seq.text.corpus import read_examples
    from seq2seq.text.dataset import chunk_examples

    try:
        for chunk in chunk_examples(read_examples(model.config.data, "train")):
            ids = model.codec.encode(chunk)
            for source, target in zip(ids["source"], ids["target"], strict=True):
                counts.update(target)
                yield source, target
    except UserError as error:
        raise UserError(
            f"--shortlist: the training pairs are needed to learn it, and cannot be read: {error}"
        ) from None


def union(lists: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """lists: of B sources → all their tokens [n] int64, sorted, and which of them each source
    allows, [B, n] float32: 0 or -inf."""
    tokens = np.unique(np.concatenate(lists)).astype(np.int64)
    mask = np.full((len(lists), len(tokens)), -np.inf, np.float32)
    for row, allowed in enumerate(lists):
        mask[row, np.searchsorted(tokens, allowed)] = 0
    return tokens, mask
