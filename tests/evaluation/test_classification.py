"""Accuracy and macro F1, against sums that a reader can make."""

import numpy as np
import pytest

from seq2seq.errors import UserError
from seq2seq.evaluation.classification import classification_scores, confusion_matrix


def test_by_hand():
    wanted, found = list("aaabbc"), list("aabbbb")
    counts = confusion_matrix(wanted, found, list("abcd"))
    assert counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    accuracy, f1 = classification_scores(counts)
    assert accuracy.value == pytest.approx(100 * 4 / 6)
    # a: 2·2/(3+2), b: 2·2/(2+4), c: 0; d was neither wanted nor found
    assert f1.value == pytest.approx(100 * (4 / 5 + 4 / 6 + 0) / 3)


def test_nothing():
    with pytest.raises(UserError, match="no labels to score"):
        classification_scores(np.zeros((3, 3), np.int64))
