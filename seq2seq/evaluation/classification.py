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

    wanted: The correct label of each example.
    predicted: The predicted label of each example, in the same order.
    """
    numbers = {name: number for number, name in enumerate(names)}
    counts = np.zeros((len(names), len(names)), np.int64)
    for wanted_label, predicted_label in zip(wanted, predicted, strict=True):
        counts[numbers[wanted_label], numbers[predicted_label]] += 1
    return counts


def classification_scores(counts: np.ndarray) -> list[Score]:
    """Return accuracy and macro F1, both in per cent, from a confusion matrix.

    The F1 of a label is 2 · correct / (true + predicted). Here `correct` counts correct
    predictions of the label, `true` counts its occurrences in the data, and `predicted` counts its
    predictions. Macro F1 is the mean F1 of all labels that occur or are predicted.

    counts: [labels, labels] int64, a confusion matrix (see `confusion_matrix`).

    Raises UserError if all counts are 0.
    """
    total = int(counts.sum())
    if not total:
        raise UserError(
            "there are no labels to score: the data set is empty; choose another data set"
        )
    right, occurrences = counts.diagonal(), counts.sum(axis=0) + counts.sum(axis=1)
    f1 = 2 * right[occurrences > 0] / occurrences[occurrences > 0]
    what = f"{total:,} labels of {len(counts)} kinds"
    return [
        Score("accuracy", 100 * float(right.sum()) / total, what),
        Score("macro F1", 100 * float(f1.mean()), what),
    ]
