"""Buckets part the lines: none lost, none counted twice."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.errors import UserError
from seq2seq.evaluation.lengths import LENGTH_EDGES, bleu_by_length
from seq2seq.evaluation.scores import corpus_bleu


@settings(max_examples=50)
@given(
    lengths=st.lists(st.integers(0, 80), min_size=1, max_size=30),
    edges=st.lists(st.integers(1, 70), max_size=6, unique=True).map(sorted),
)
def test_every_line_is_in_exactly_one_bucket(lengths, edges):
    sources = [" ".join(["w"] * length) for length in lengths]
    hypotheses = [source + " h" for source in sources]
    buckets = bleu_by_length(sources, hypotheses, sources, edges)
    for bucket in buckets:
        high = math.inf if bucket.high is None else bucket.high
        inside = [length for length in lengths if bucket.low <= length <= high]
        assert bucket.lines == len(inside) > 0
        assert bucket.reference_words == sum(inside)
        assert bucket.hypothesis_words == sum(inside) + len(inside)
    assert sum(bucket.lines for bucket in buckets) == len(lengths)
    assert [bucket.low for bucket in buckets] == sorted(bucket.low for bucket in buckets)


def test_the_bounds_are_counted_in_and_empty_buckets_left_out():
    sources = ["a " * length for length in (5, 6, 10, 61)]
    buckets = bleu_by_length(sources, sources, sources)
    assert [(one.low, one.high, one.lines) for one in buckets] == [
        (0, 5, 1),
        (6, 10, 2),
        (LENGTH_EDGES[-1] + 1, None, 1),
    ]


def test_a_bucket_has_the_bleu_and_the_length_ratio_of_its_lines():
    sources = ["one two", "one two three four five six"]
    hypotheses = ["eins zwei drei vier", "ja nein"]
    references = ["eins zwei drei vier", "a b c d"]
    short, long = bleu_by_length(sources, hypotheses, references, (5,))
    assert short.bleu == corpus_bleu(hypotheses[:1], references[:1]) == pytest.approx(100)
    assert (short.length_ratio, long.length_ratio, long.bleu) == (1.0, 0.5, 0.0)
    assert math.isnan(bleu_by_length([""], ["a"], [""])[0].length_ratio)


def test_mistakes_are_refused():
    with pytest.raises(UserError, match=r"2 sources, 1 hypotheses and 2 references"):
        bleu_by_length(["a", "b"], ["a"], ["a", "b"])
    with pytest.raises(UserError, match="empty"):
        bleu_by_length([], [], [])
    for edges in [(5, 5), (10, 5), (0, 5)]:
        with pytest.raises(UserError, match="do not increase"):
            bleu_by_length(["a"], ["a"], ["a"], edges)


def test_what_is_scored_lower_cased_is_so_in_every_bucket():
    lines = ["The Cat Sits On The Mat"] * 2
    (found,) = bleu_by_length(lines, lines, [line.lower() for line in lines], lowercase=True)
    assert found.bleu == pytest.approx(100)
