"""The shortlist: the target tokens that may occur in the translation of a source.

The shortlist of a source contains the frequent target tokens, and the rare target tokens that a
lexical table lists for the tokens of the source. The output layer is computed only for these
tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING

import numpy as np

from seq2seq.errors import UserError
from seq2seq.export.lexical_table import Pair, learn_lexical_table

if TYPE_CHECKING:
    from seq2seq.models.folder import Model

_TABLE, _FREQUENT_TOKENS = "shortlist.npy", "frequent.npy"
# On Multi30k these give 97 % of the tokens of validation, and 4 rare tokens per source token.
_FREQUENT = 1536
_BEST = 48  # per source token
_PER_TOKEN = 8  # the largest number of rare tokens per source token
_BLOCK = 64  # the number of rare tokens is a multiple


@dataclass(frozen=True)
class Shortlist:
    """The shortlist of a model.

    table: the rare target tokens of each source token, most likely first, [source V, n] int32. The
        rest of a row is -1.
    frequent: the target tokens that every source allows, sorted, [m] int32.
    """

    table: np.ndarray
    frequent: np.ndarray

    def rare(self, sources: Sequence[np.ndarray]) -> np.ndarray:
        """Return the rare target tokens of each source, [B, n] int64. The rest of a row is -1.

        sources: token ids without EOS. Features in front of the tokens have no rare tokens.

        The tokens of a row are sorted. n depends only on the length of the longest source. If a
        source has more than n rare tokens, the most likely ones of each source token are kept.
        """
        longest = max(len(ids) for ids in sources)
        n = _BLOCK * max(1, -(-longest * _PER_TOKEN // _BLOCK))
        result = np.full((len(sources), n), -1)
        for row, ids in zip(result, sources, strict=True):
            ranked = self.table[
                ids[ids < len(self.table)]
            ].T.ravel()  # the most likely token of each source token first
            tokens, first = np.unique(ranked[ranked >= 0], return_index=True)
            if len(tokens) > n:
                tokens = tokens[first <= np.partition(first, n - 1)[n - 1]]
            row[: len(tokens)] = tokens
        return result

    def save(self, folder: Path) -> None:
        """Write the shortlist into the folder of an export."""
        small = self.table.astype(np.int16 if self.table.max(initial=0) < 2**15 else np.int32)
        np.save(folder / _TABLE, small, allow_pickle=False)
        np.save(folder / _FREQUENT_TOKENS, self.frequent, allow_pickle=False)

    @classmethod
    def load(cls, folder: Path, sizes: tuple[int, int]) -> Shortlist:
        """Read the shortlist of an export.

        sizes: the sizes of the source vocabulary and of the target vocabulary.

        Raises UserError if the shortlist does not fit the vocabularies.
        """
        table = _read(folder / _TABLE, 2, sizes[1])
        frequent = _read(folder / _FREQUENT_TOKENS, 1, sizes[1])
        if (np.diff(frequent) <= 0).any() or not len(frequent) or frequent[0] < 0:
            raise UserError(
                f"{folder / _FREQUENT_TOKENS}: the frequent tokens are not sorted: export the "
                "model again"
            )
        if len(table) != sizes[0]:
            raise UserError(
                f"{folder / _TABLE}: the shortlist has {len(table)} source tokens, but the "
                f"vocabulary has {sizes[0]}: export the model again"
            )
        return cls(table, frequent)


def _read(path: Path, axes: int, size: int) -> np.ndarray:
    try:
        # Mapped first, so that a size in the header that exceeds the file needs no memory.
        tokens = np.array(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, SyntaxError, TokenError) as error:
        raise UserError(f"{path}: cannot be read as a table ({error}): copy it again") from None
    fits = tokens.ndim == axes and tokens.dtype in (np.int16, np.int32)
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
            f"--shortlist: a model of task {task.name!r} does not translate: leave out this option"
        )
    counts: Counter[int] = Counter()
    sizes = len(codec.source), len(codec.target)
    best = learn_lexical_table(_counted(model, counts), sizes, _BEST)
    table = np.full((sizes[0], _BEST + 1), -1, np.int32)
    table[:, 1:] = best
    if codec.source == codec.target:  # names and numbers are often copied
        table[:, 0] = np.arange(sizes[0])
    common = [token for token, _ in counts.most_common(_FREQUENT)]
    frequent = np.unique([codec.target.eos, *common[: _FREQUENT - 1]]).astype(np.int32)
    target = codec.target
    table[np.isin(table, [*frequent, target.pad, target.unk, target.bos])] = -1
    return Shortlist(table, frequent)


def _counted(model: Model, counts: Counter[int]) -> Iterable[Pair]:
    """Yield the token ids of the training pairs, and count the target tokens in `counts`."""
    from seq2seq.text.corpus import read_examples
    from seq2seq.text.dataset import chunk_examples

    try:
        for chunk in chunk_examples(
            read_examples(model.config.data, "train", features=model.config.features)
        ):
            ids = model.codec.encode(chunk)
            for source, target in zip(ids["source"], ids["target"], strict=True):
                counts.update(target)
                yield [token for token in source if token < len(model.codec.source)], target
    except UserError as error:
        raise UserError(
            f"--shortlist: the shortlist needs the training pairs, which cannot be read: {error}"
        ) from None
