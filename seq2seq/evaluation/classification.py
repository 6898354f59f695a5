"""Scores of predicted labels: accuracy, macro F1 and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seq2seq.errors import UserError
from seq2seq.evaluation.scores import Score


def confusion_matrix(
    wanted: Sequence[str], predicted: Sequence[str], names: Sequence[str]
) -> np.ndarray:
    """Return the confusion matrix [labels, labels], int64.

    Entry (i, j) counts how often label i of `names` was correct and label j was predicted.

    wanted: The correct labels. predicted: The predicted labels, in the same order.
    """
    numbers = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for wanted_label, predicted_label in zip(wanted, predicted, strict=True):
        counts[numbers[wanted_label], numbers[predicted_label]] += 1
    return counts


def classification_scores(counts: np.ndarray) -> list[Score]:
    """Return accuracy and macro F1, both in per cent, from a confusion matrix.

    Macro F1 is the mean over labels of F1 = 2 · correct / (true + predicted), where `true` and
    `predicted` count the occurrences of the label. Labels that never occur are left out.

    counts: [labels, labels] int64, see `confusion_matrix`. Raises UserError if all counts are 0.
    """
    total = int(counts.sum())
    if not total:
        raise UserError("there are no labels to score: the set is empty")
    right, occurrences = counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1)
    f1 = 2 * right[occurrences > 0] / occurrences[occurrences > 0]
    what = f"{total:,} labels of {len(counts)} kinds"
    return [
        Score("accuracy", 100 * float(right.sum()) / total, what),
        Score("macro F1", 100 * float(f1.mean()), what),
    ]
