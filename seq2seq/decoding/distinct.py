"""Complete n-best lists so that their texts are distinct. Different tokens may spell one text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from seq2seq.decoding.stepping import Hypothesis

Found = list[list[Hypothesis]]

Again = Callable[[list[int], int, int], Found]
"""A function that searches some sentences again.

Takes the numbers of the sentences, how many hypotheses to return for each, and a factor for the
beam. Returns the hypotheses of these sentences.
"""

Read = Callable[[int, Sequence[Hypothesis]], list[str]]
"""A function that returns the text of each hypothesis of the sentence with the given number."""

# (factor of n_best, factor of the beam): first keep more hypotheses, then search more widely.
_ATTEMPTS = ((4, 1), (16, 1), (16, 4))


def find_distinct(found: Found, n_best: int, read: Read, again: Again) -> Found:
    """Return hypotheses with distinct texts, up to `n_best` for each sentence.

    Sentences with too few distinct texts are searched again. The result for a sentence does not
    depend on the other sentences.
    """
    kept = [_distinct(row, ranked, read) for row, ranked in enumerate(found)]
    sizes = [len(ranked) for ranked in found]
    size = n_best
    for more, wider in _ATTEMPTS:
        # A search with the same beam finds more only if it had to drop hypotheses before.
        rows = [
            row
            for row, ranked in enumerate(kept)
            if len(ranked) < n_best and (wider > 1 or sizes[row] == size)
        ]
        size = more * n_best
        if rows:
            for row, ranked in zip(rows, again(rows, size, wider), strict=True):
                sizes[row] = len(ranked)
                if len(distinct := _distinct(row, ranked, read)) > len(kept[row]):
                    kept[row] = distinct
    return [ranked[:n_best] for ranked in kept]


def _distinct(row: int, ranked: Sequence[Hypothesis], read: Read) -> list[Hypothesis]:
    first: dict[str, Hypothesis] = {}
    for text, hypothesis in zip(read(row, ranked), ranked, strict=True):
        first.setdefault(text, hypothesis)
    return list(first.values())
