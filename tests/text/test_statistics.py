"""Statistics of the training text, and sentences within a line."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.errors import UserError
from seq2seq.text import sentences
from seq2seq.text.sentences import inner_ends, split_sentences
from seq2seq.text.statistics import TextStatistics


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        ("The baker bought bread. The nurse saw the dog.", ["."]),
        ("Is it? Yes! No.", ["?", "!"]),
        ("Dr. Smith and J. R. Hill paid 3. 5", []),
        ("well... she said", []),
        ('He said: "Stop!" Then he left.', ["!"]),
        ("你好。世界！", ["。"]),
        ("你好。", []),
        ("वह गया। वह आया।", ["।"]),
        ("One sentence.", []),
        ("", []),
    ],
)
def test_sentence_ends_within_a_line(line, ends):
    assert inner_ends(line) == ends


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 200)), min_size=1, max_size=50))
def test_the_limit_allows_all_training_pairs_but_the_longest_few(pairs):
    lengths = np.array(pairs, np.int32)
    limits = TextStatistics.measure(lengths, []).limits(lengths[:, 0].astype(np.int64) + 1)
    # Of up to 50 pairs, 99.9 % leave room for part of the longest one: 10 tokens more are allowed.
    rest = np.sort(limits - (lengths[:, 1] + 1))
    assert rest[1:].min(initial=0) >= 0


def test_digits_to_words_have_room():
    sources, targets = np.full(1000, 4), np.full(1000, 23)
    measured = TextStatistics.measure(np.stack([sources, targets], axis=1), [])
    assert measured.limits(np.array([5])).tolist() == [math.ceil(2 * 24 / 5 * 5) + 10]


def test_models_without_statistics_keep_their_limit():
    assert TextStatistics().limits(np.array([1, 7])).tolist() == [12, 24]
    assert not TextStatistics().has_unusual_end("One. Two.")


def test_a_line_of_several_sentences_is_unusual_where_training_had_none():
    lengths = np.full((1000, 2), 5)
    lines = ["Is it? Yes."] * 20 + ["One sentence."] * 980
    measured = TextStatistics.measure(lengths, lines)
    assert measured.has_unusual_end("One. Two.")
    assert not measured.has_unusual_end("Really? No.")  # 2 % of the training lines
    assert not measured.has_unusual_end("One.")


def test_tags_that_start_most_lines():
    lines = ["<2up> a", "<2lo> b", "<2up> c <x> d", ">>de<< e"]
    assert TextStatistics.measure(np.ones((4, 2)), lines).tags == ("<2lo>", "<2up>", ">>de<<")
    assert TextStatistics.measure(np.ones((4, 2)), ["<b> a", "b", "c", "d"]).tags == ()


@given(
    st.floats(0.5, 9, allow_nan=False),
    st.integers(1, 500),
    st.none() | st.dictionaries(st.sampled_from(".?!"), st.floats(0, 1)),
    st.lists(st.text(min_size=1, max_size=5)).map(tuple),
)
def test_a_file_of_statistics_is_read_back(ratio, margin, ends, tags):
    statistics = TextStatistics(ratio, margin, ends, tags)
    assert TextStatistics.from_bytes(statistics.to_bytes(), "here") == statistics


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"length_ratio": -1, "length_margin": 3}', b"\xff"]
)
def test_damaged_statistics_are_one_message(content):
    with pytest.raises(UserError, match="here: not valid statistics of a text"):
        TextStatistics.from_bytes(content, "here")


def test_without_a_splitter_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sentencex", None)
    sentences._splitter.cache_clear()
    with pytest.raises(UserError, match="pip install 'seq2seq-rnn\\[sentences\\]'"):
        split_sentences("One. Two.", "en")


@pytest.mark.parametrize("language", ["en", "de_AT", "zh-Hans", "nonsense", ""])
def test_sentences_are_the_text(language):
    pytest.importorskip("sentencex")
    sentences._splitter.cache_clear()
    text = "Er kam z.B. gestern.  Ja!\tÉtait-ce 3.5? 好。好"
    parts = split_sentences(text, language)
    assert "".join(parts) == text
    assert len(parts) >= 3
