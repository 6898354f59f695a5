"""Labels and vectors: a number for each, and one line for what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.errors import UserError
from seq2seq.text.labels import LabelSet, VectorFormat

NAMES = st.sets(
    st.text(st.characters(exclude_characters=" \n", exclude_categories=["Cs"]), min_size=1),
    min_size=2,
    max_size=9,
)


@given(NAMES, st.data())
def test_numbers_are_names(names, draw):
    labels = LabelSet(names)
    line = draw.draw(st.lists(st.sampled_from(sorted(names)), min_size=1))
    (numbers,) = labels.encode([" ".join(line)])
    assert [labels.names[number] for number in numbers] == line
    assert sorted({labels.index(name) for name in names}) == list(range(len(labels)))
    assert LabelSet.from_bytes(labels.to_bytes()) == labels
    assert LabelSet(sorted(names, reverse=True)) == labels


def test_mistakes():
    labels = LabelSet(["NOUN", "VERB", "ADJ"])
    with pytest.raises(
        UserError, match=r"unknown label 'NOUNS'; did you mean 'NOUN'.; the labels are: ADJ"
    ):
        labels.encode(["VERB NOUNS"])
    with pytest.raises(UserError, match="unknown label ''"):
        labels.encode(["VERB  NOUN"])
    with pytest.raises(UserError, match="there is only one label, 'x'"):
        LabelSet(["x", "x"])
    with pytest.raises(UserError, match="there are no labels"):
        LabelSet([])


@given(st.lists(st.floats(-2000, 2000), min_size=1, max_size=5))
def test_vectors_keep_six_decimals(values):
    (found,) = VectorFormat(len(values)).encode([" ".join(map(str, values))])
    for one, value in zip(found, values, strict=True):
        assert one * VectorFormat.unit == pytest.approx(value, abs=1e-6)


def test_colours():
    (found,) = VectorFormat(3).encode(["#ff8000"])
    assert [round(255 * one * VectorFormat.unit) for one in found] == [255, 128, 0]
    with pytest.raises(UserError, match="'#ff8000' is not a vector of size 2: write 2 numbers"):
        VectorFormat(2).encode(["#ff8000"])
