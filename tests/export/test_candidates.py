"""Log-probabilities of a shortlist's candidates, and the search for the largest columns."""

from __future__ import annotations

import numpy as np
import pytest

from seq2seq.export.array_log_probabilities import ArrayLogProbabilities, largest_columns
from seq2seq.export.candidates import CandidateLogProbabilities

FREQUENT = np.array([1, 4])
COLUMN = np.array([-1, 0, -1, -1, 1, -1, -1, -1])


def log_probabilities() -> CandidateLogProbabilities:
    """Two sources with two rows each. Source 0 also allows 3 and 6, source 1 only 5."""
    values = np.array(
        [[-1, -2, -3, -4], [-4, -3, -2, -1], [-1, -2, -3, -np.inf], [-4, -3, -2, -np.inf]]
    )
    rare = np.array([[3, 6], [5, -1]])
    return CandidateLogProbabilities(values.astype(np.float32), FREQUENT, COLUMN, rare)


def test_candidates_answer_in_tokens() -> None:
    log_p = log_probabilities()
    assert log_p.top(2)[1].tolist() == [[1, 4], [6, 3], [1, 4], [5, 4]]
    assert log_p.top(1)[0].tolist() == [[-1], [-1], [-1], [-2]]
    assert log_p.at(np.array([1, 4, 1, 4])).tolist() == [-1, -3, -1, -3]
    assert log_p.at(np.array([3, 5, 5, 6])).tolist() == [-3, -np.inf, -3, -np.inf]
    assert log_p.top(4)[1].min() >= 0


def test_all_has_a_column_for_every_token() -> None:
    inf = np.inf
    assert log_probabilities().all().tolist() == [
        [-inf, -1, -inf, -3, -2, -inf, -4, -inf],
        [-inf, -4, -inf, -2, -3, -inf, -1, -inf],
        [-inf, -1, -inf, -inf, -2, -3, -inf, -inf],
        [-inf, -4, -inf, -inf, -3, -2, -inf, -inf],
    ]


def test_excluded_candidates_are_not_found() -> None:
    log_p = log_probabilities()
    log_p.exclude([0, 1, 5, 6])
    assert log_p.top(1)[1].ravel().tolist() == [4, 3, 4, 4]
    assert np.isfinite(log_p.all()).sum() == 6


def test_sources_may_share_all_candidates() -> None:
    values = np.array([[-1, -2, -3], [-3, -2, -1]], np.float32)
    log_p = CandidateLogProbabilities(values, FREQUENT, COLUMN, np.array([[6]]))
    assert log_p.top(1)[1].ravel().tolist() == [1, 6]
    assert log_p.at(np.array([6, 6])).tolist() == [-3, -1]
    log_p.exclude([6])
    assert log_p.at(np.array([6, 6])).tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize("columns", [7, 100, 4096, 8001])
@pytest.mark.parametrize("k", [1, 2, 5, 40])
def test_the_largest_columns_come_first(columns: int, k: int) -> None:
    values = np.random.default_rng(1).normal(size=(6, columns)).astype(np.float32)
    before = values.copy()
    expected = np.argsort(-values, axis=1)[:, :k]
    columns, largest = largest_columns(values, k)
    np.testing.assert_array_equal(columns[:, : expected.shape[1]], expected)
    np.testing.assert_array_equal(largest, np.take_along_axis(values, columns, axis=1))
    np.testing.assert_array_equal(values, before)


@pytest.mark.parametrize("columns", [9, 8001])
def test_a_row_with_few_tokens_names_each_token_once(columns: int) -> None:
    values = np.full((3, columns), -np.inf, np.float32)
    values[0, [2, 8]] = -1, -2
    values[1, 5] = -3
    values[2] = np.arange(columns)
    probabilities, ids = ArrayLogProbabilities(values).top(5)
    assert [len(set(row)) for row in ids.tolist()] == [5, 5, 5]
    assert ids[0, :2].tolist() == [2, 8]
    assert np.isfinite(probabilities).sum(axis=1).tolist() == [2, 1, 5]
