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

_TABLE, _FREQUENT_TOKENS = "shortlist.npy", "frequent.npy"
_FREQUENT = 1000  # fewer change many more translations
_BEST = 24  # per source token


@dataclass(frozen=True)
class Shortlist:
    """table: [V source, n] int32, the target tokens of each source token, then -1. frequent: [m]
    int32, the target tokens that every source allows."""

    table: np.ndarray
    frequent: np.ndarray

    def allowed(self, source: np.ndarray) -> np.ndarray:
        """Return the target tokens for a source, sorted. source: ids without EOS."""
        tokens = np.unique(np.concatenate([self.table[source].ravel(), self.frequent]))
        return tokens[np.searchsorted(tokens, 0) :]

    def save(self, folder: Path) -> None:
        """Write both arrays into the folder of an export."""
        np.save(folder / _TABLE, self.table, allow_pickle=False)
        np.save(folder / _FREQUENT_TOKENS, self.frequent, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, sizes: tuple[int, int]) -> Shortlist:
        """Read the arrays of an export. sizes: the vocabularies of source and target. Raises
        UserError if they do not fit."""
        table = _read(folder / _TABLE, 2, sizes[1])
        frequent = _read(folder / _FREQUENT_TOKENS, 1, sizes[1])
        if len(table) != sizes[0]:
            raise UserError(
                f"{folder / _TABLE}: the shortlist has {len(table)} source tokens, but the "
                f"vocabulary has {sizes[0]}: export the model again"
            )
        return cls(table, frequent)


def _read(path: Path, axes: int, size: int) -> np.ndarray:
    """Read tokens that must be below `size`."""
    try:
        tokens: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read as a table of numbers ({error})") from None
    fits = tokens.ndim == axes and tokens.dtype == np.int32
    if not fits or tokens.min(initial=0) < -1 or tokens.max(initial=0) >= size:
        raise UserError(
            f"{path}: the shortlist does not fit the target vocabulary of {size} tokens: export "
            "the model again"
        )
    return tokens


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
    table = np.full((sizes[0], _BEST + 1), -1, np.int32)
    table[:, :_BEST] = best
    if codec.source == codec.target:  # names and numbers are often copied
        table[:, _BEST] = np.arange(sizes[0])
    frequent = [codec.target.eos, *(token for token, _ in counts.most_common(_FREQUENT))]
    return Shortlist(table, np.array(frequent, np.int32))


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
