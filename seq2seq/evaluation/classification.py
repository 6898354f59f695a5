"""How well labels were told: accuracy, macro F1, and what was taken for what."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seq2seq.errors import UserError
from seq2seq.evaluation.scores import Score


def confusion_matrix(
    wanted: Sequence[str], predicted: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    """[labels, labels] int64: how often row was wanted and column found."""
    numbers = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for wanted_label, predicted_label in zip(wanted, predicted, strict=True):
        counts[numbers[wanted_label], numbers[predicted_label]] += 1
    return counts


def classification_scores(counts: np.ndarray) -> list[Score]:
    """Accuracy and macro F1, both in per cent, of a `confusion_matrix`.

    Macro F1 is the mean of F1 = 2 · right / (wanted + found) over the labels that were wanted or
    found at all. Raises UserError where there is nothing.
    """
    total = int(counts.sum())
    if not total:
        raise UserError("there are no labels to score")
    right, occurrences = counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1)
    f1 = 2 * right[occurrences > 0] / occurrences[occurrences > 0]
    what = f"{total:,} labels of {len(counts)} kinds"
    return [
        Score("accuracy", 100 * float(right.sum()) / total, what),
        Score("macro F1", 100 * float(f1.mean()), what),
    ]
