"""The shortlist: learned from pairs, exact in every batch, not used for given targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seq2seq
from seq2seq.decoding.options import BeamOptions, GreedyOptions, SamplingOptions
from seq2seq.errors import UserError
from seq2seq.export.lexical_table import learn_lexical_table
from seq2seq.export.shortlist import Shortlist
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


def test_rare_tokens_depend_on_the_source_alone() -> None:
    table = np.array([[7, 8, -1], [9, 7, 5], [-1, -1, -1]], np.int32)
    lists = Shortlist(table, np.array([1, 2], np.int32))
    rare = lists.rare([np.array([0, 1, 2]), np.array([2, 2, 2])])
    assert rare.shape == (2, 64)
    assert rare[:, :5].tolist() == [[5, 7, 8, 9, -1], [-1] * 5]
    alone = lists.rare([np.array([2, 2, 2])])
    np.testing.assert_array_equal(alone, rare[1:])


def test_the_most_likely_rare_tokens_stay_if_there_are_too_many() -> None:
    table = np.arange(10, 110, dtype=np.int32)[None]
    rare = Shortlist(table, np.array([1], np.int32)).rare([np.array([0])])
    assert rare[0].tolist() == list(range(10, 74))


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
    Shortlist(np.full((3, 2), 8, np.int32), np.array([4, 2], np.int32)).save(tmp_path)
    with pytest.raises(UserError, match="the frequent tokens are not sorted"):
        Shortlist.load(tmp_path, (3, 9))
    (tmp_path / "shortlist.npy").write_bytes(b"nothing")
    with pytest.raises(UserError, match="cannot be read as a table"):
        Shortlist.load(tmp_path, (3, 9))


def test_a_shortlist_needs_pairs(attending, models, tmp_path) -> None:
    with pytest.raises(UserError, match="shortlist needs the training pairs"):
        export_model(load_model(attending / "model"), tmp_path / "e", "int8", shortlist=True)
    with pytest.raises(UserError, match="does not translate"):
        export_model(load_model(models["tag"]), tmp_path / "e", "int8", shortlist=True)
