"""What must hold of the filters: an example is dropped whole, for a reason that is counted."""

from __future__ import annotations

import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.toml import parse_config
from seq2seq.text.dataset import EncodedChunk
from seq2seq.text.example import Example
from seq2seq.text.filtering import filter_examples, filter_lengths, length_problem

SHORT = st.text(string.whitespace + "ab\xa0\u2028", max_size=3)
FEATURES = st.sampled_from([(), ("a",)])


@given(st.lists(st.builds(Example, SHORT, SHORT, FEATURES)), st.booleans())
def test_pairs_are_dropped_whole_and_counted(
    examples: list[Example], drop_duplicates: bool
) -> None:
    counts: Counter[str] = Counter()
    kept = list(filter_examples(iter(examples), drop_duplicates=drop_duplicates, counts=counts))
    usable = [e for e in examples if e.source.strip() and e.target.strip()]
    assert kept == (list(dict.fromkeys(usable)) if drop_duplicates else usable)
    assert counts["read"] == len(examples)
    assert counts["empty"] == len(examples) - len(usable)
    assert counts["duplicate"] == len(usable) - len(kept)


@pytest.mark.parametrize(
    ("source", "target", "max_tokens", "max_ratio", "reason"),
    [
        (5, 5, 5, 1.0, None),
        (6, 1, 5, 1.5, "too long"),
        (1, 6, 5, 0, "too long"),
        (1, 5, 5, 0, None),
        (2, 3, 5, 1.5, None),
        (3, 2, 5, 1.5, None),
        (2, 4, 5, 1.5, "length ratio"),
        (4, 2, 5, 1.5, "length ratio"),
        (100, 115, 256, 1.15, None),  # 1.15 * 100 < 115 in floating point
        (0, 3, 5, 100, "length ratio"),
        (0, 3, 5, 0, None),
    ],
)
def test_lengths_that_fit(
    source: int, target: int, max_tokens: int, max_ratio: float, reason: str | None
) -> None:
    assert length_problem(source, target, max_tokens=max_tokens, max_ratio=max_ratio) == reason


def test_an_example_of_a_wrong_length_is_dropped_from_every_column() -> None:
    values = {
        "data": {"train": "x", "source": "a", "target": "b", "max_tokens": 2},
        "training": {"epochs": 1},
    }
    examples = [Example(letter, letter, (letter,), (letter,)) for letter in "abc"]
    ids = {
        "source": [[1], [2, 2, 2], [3]],
        "target": [[1], [2], [3, 3]],
        "features": [[4], [5, 5, 5], [6]],
    }
    counts: Counter[str] = Counter()
    chunk = EncodedChunk(examples, ids)
    (kept,) = filter_lengths([chunk], parse_config(values, "here"), counts)
    assert kept.examples == [examples[0], examples[2]]
    assert kept.ids == {name: [column[0], column[2]] for name, column in ids.items()}
    assert counts == {"too long": 1}
