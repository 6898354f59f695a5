"""What must hold of an example's digest: it tells examples apart, and is the same everywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seq2seq.text.example import Example, example_digest

TEXTS = st.lists(st.text(max_size=2), max_size=2).map(tuple)
EXAMPLES = st.builds(Example, st.text(max_size=2), st.text(max_size=2), TEXTS, TEXTS)


def digest(source: str, target: str) -> bytes:
    return example_digest(Example(source, target))


@given(st.text(max_size=4), st.text(max_size=4), st.text(max_size=4))
def test_digests_tell_pairs_apart(a: str, b: str, c: str) -> None:
    assert len(digest(a, b)) == 16
    assert digest(a, b) == digest(a, b)
    assert (digest(a + b, c) == digest(a, b + c)) == (not b)
    assert (digest(a, b) == digest(b, a)) == (a == b)


def test_digests_are_the_same_everywhere() -> None:
    assert digest("ein Haus", "a house").hex() == "e7b5dd85a6be0ac6bdc54594b8f407f7"
    # Computed before an example had features and references.
    assert digest("naïve 日本", "\t🎈\u2028").hex() == "d03d1fbfca3f267dd1e0cf5f7e1b335b"
    assert digest("", "").hex() == "959e0f81d0630297d2cdaa11ea8405a2"


@given(EXAMPLES, EXAMPLES)
def test_every_column_counts(first: Example, second: Example) -> None:
    assert (example_digest(first) == example_digest(second)) == (first == second)


def test_features_and_references_are_not_taken_for_each_other() -> None:
    columns = [((), ()), (("x",), ()), ((), ("x",)), (("x", "x"), ()), (("xx",), ()), (("",), ())]
    digests = {example_digest(Example("a", "b", *column)) for column in columns}
    assert len(digests) == len(columns)
