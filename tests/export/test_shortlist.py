"""The shortlist: learned from pairs, exact in every batch, not used for given targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seq2seq
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.errors import UserError
from seq2seq.export.candidates import CandidateLogProbabilities, normalize_allowed
from seq2seq.export.lexical_table import learn_lexical_table
from seq2seq.export.shortlist import Shortlist, union
from seq2seq.export.writer import export_model
from seq2seq.models.folder import load_model


@pytest.fixture(scope="module")
def export(attending: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exports") / "export"
    model = load_model(attending / "model", locate_data=True)
    assert export_model(model, path, "int8", shortlist=True).divergence < 0.05
    return path


def test_model_1_finds_translations() -> None:
    # 5 7 = 50 70 and 5 8 = 80 50: only 5 = 50 explains both.
    pairs = [([5, 7], [50, 70]), ([5, 8], [80, 50]), ([7], [70]), ([], [1]), ([9], [])]
    table = learn_lexical_table(pairs, (10, 100), 2)
    assert table.shape == (10, 2)
    assert [table[5, 0], table[7, 0], table[8, 0]] == [50, 70, 80]
    assert table[9].tolist() == [-1, -1]


def test_the_sum_over_candidates_does_not_depend_on_their_order() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(0, 3, size=(4, 300)).astype(np.float32)
    mask = np.where(random.random((2, 300)) < 0.5, 0, -np.inf).astype(np.float32)
    plain = normalize_allowed(logits, mask)
    order = random.permutation(300)
    mixed = normalize_allowed(logits[:, order], mask[:, order])
    np.testing.assert_array_equal(mixed, plain[:, order])
    np.testing.assert_allclose(np.exp(plain.astype(np.float64)).sum(axis=1), 1, atol=1e-6)


def test_candidates_answer_in_tokens() -> None:
    values = np.log(np.array([[0.2, 0.5, 0.3]], np.float32))
    log_p = CandidateLogProbabilities(values, np.array([2, 5, 9]), 12)
    assert log_p.top(2)[1].tolist() == [[5, 9]]
    assert np.exp(log_p.at(np.array([9]))) == pytest.approx(0.3)
    assert log_p.at(np.array([3])) == -np.inf
    log_p.exclude([5, 7])
    assert log_p.top(1)[1].tolist() == [[9]]
    assert np.isfinite(log_p.all()).sum() == 2
    ids, mask = union([np.array([1, 4]), np.array([4, 6])])
    assert ids.tolist() == [1, 4, 6]
    assert np.isfinite(mask).tolist() == [[True, True, False], [False, True, True]]


@pytest.mark.parametrize(
    "search", [GreedyOptions(), BeamOptions(beam=4), SamplingOptions()], ids=["1", "4", "sample"]
)
def test_a_line_does_not_depend_on_the_words_of_others(export, toy, search) -> None:
    lines = [*toy.lines("test.en"), *toy.lines("valid.en"), "cat"]

    def translate(lines: list[str], size: int) -> list[tuple[str, float]]:
        results = seq2seq.Translator.load(export, batch_size=size).stream(lines, search)
        return [(result.best.text, result.best.score) for result in results]

    expected = translate(lines, 1)
    for size in (2, 17, 64):
        assert translate(lines, size) == expected
    assert translate(lines[::-1], 64) == expected[::-1]


def test_few_lines_change(export, attending, toy) -> None:
    lines = toy.lines("test.en")
    plain = seq2seq.Translator.load(attending / "model").translate(lines)
    short = seq2seq.Translator.load(export).translate(lines)
    assert sum(a != b for a, b in zip(plain, short, strict=True)) <= len(lines) // 5


def test_given_targets_may_leave_the_shortlist(export, attending) -> None:
    sources, targets = ["the red cat runs"], ["xyz Q le chat"]
    ours = seq2seq.Translator.load(export).score(sources, targets)[0].score
    theirs = seq2seq.Translator.load(attending / "model").score(sources, targets)[0].score
    assert ours == pytest.approx(theirs, rel=0.05)


def test_a_shortlist_that_does_not_fit_is_refused(tmp_path) -> None:
    Shortlist(np.full((3, 2), 8, np.int32), np.array([1], np.int32)).save(tmp_path)
    with pytest.raises(UserError, match="has 3 source tokens, but the vocabulary has 9"):
        Shortlist.load(tmp_path, (9, 9))
    with pytest.raises(UserError, match="does not fit the target vocabulary of 5 tokens"):
        Shortlist.load(tmp_path, (3, 5))
    (tmp_path / "shortlist.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read as a table"):
        Shortlist.load(tmp_path, (3, 9))


def test_a_shortlist_needs_pairs(attending, models, tmp_path) -> None:
    with pytest.raises(UserError, match="training pairs are needed"):
        export_model(load_model(attending / "model"), tmp_path / "e", "int8", shortlist=True)
    with pytest.raises(UserError, match="does not translate"):
        export_model(load_model(models["tag"]), tmp_path / "e", "int8", shortlist=True)
