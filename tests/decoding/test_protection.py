"""Marks that are taken out of a line and put into its translation."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.decoding.protection import (
    MARK,
    count_differences,
    even_weights,
    place_marks,
    remove_marks,
)


def tokens_of(text: str) -> list[int]:
    """Where each word and each punctuation mark starts, as subwords do."""
    return [match.start() for match in re.finditer(r"\w+|[^\w\s]", text)]


def put_back(line: str, weights=None) -> str:
    clean, marks = remove_marks(line)
    starts = tokens_of(clean)
    gaps = [len(tokens_of(clean[: mark.at])) for mark in marks]
    weights = np.eye(len(starts)) if weights is None else weights
    return place_marks(clean, marks, gaps, weights, starts, spaced=True)


@pytest.mark.parametrize(
    "text",
    [
        *("{0}", "{name:.2f}", "${x}", "{{x}}", "%s", "%1$s", "%(name)s", "<b>", "</b>", "<br/>"),
        *('<a href="x y">', "https://a.org/b?c=1", "www.a.org", "a.b@c.org", "25", "3,5%", "10:30"),
    ],
)
def test_marks(text):
    assert [match[0] for match in MARK.finditer(f"so {text}, then.")] == [text]


@pytest.mark.parametrize("text", ["3rd", "U2", "100 % of", "a < b", "{ x }", "e.g.", "<2de>"])
def test_what_is_no_mark(text):
    found = [match[0] for match in MARK.finditer(text)]
    assert found == (["100"] if "100" in text else [])


@pytest.mark.parametrize(
    "line",
    [
        "Send it to {0}.",
        "the <b>red cat</b> runs {0} {1}, now",
        "mail a.b@c.org or see https://x.y/z?q=1.",
        "I have 25 cats and 3,5% of %s",
        "{0} starts and ends {1}",
        "a {0} ?",
        "yes <b>{0}</b>, now",
    ],
)
def test_a_text_translated_into_itself_is_unchanged(line):
    assert put_back(line) == line


@given(
    st.lists(
        st.sampled_from(["the", "cat", "runs,", "(now)", "{0}", "%s", "<b>", "</b>", "25", "?"]),
        min_size=1,
        max_size=12,
    )
)
def test_each_mark_comes_back_once_whatever_the_attention_says(words):
    line = " ".join(words)
    clean, marks = remove_marks(line)
    size = len(tokens_of(clean))
    text = put_back(line, np.random.default_rng(len(line)).random((size, size)))
    assert Counter(MARK.findall(text)) == Counter(MARK.findall(line))
    assert not count_differences(marks, text)
    assert not MARK.search(clean)
    assert put_back(line, even_weights(size, size)).split() != [] or not words


def test_a_mark_follows_the_attention():
    """The adjective and the noun change places."""
    clean, marks = remove_marks("the red {0} cat")
    weights = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    text = place_marks("le chat rouge", marks, [2], weights, [0, 3, 8], spaced=True)
    assert clean == "the red cat"
    assert text in ("le {0} chat rouge", "le chat {0} rouge", "le chat rouge {0}")
    opening = remove_marks("the red <b>cat</b>")[1]
    text = place_marks("le chat rouge", opening, [2, 3], weights, [0, 3, 8], spaced=True)
    assert text.startswith("le <b>chat")


def test_a_repeated_mark_is_told():
    _, marks = remove_marks("it is {0}")
    assert count_differences(marks, "{0} et {0}") == ["{0}"]
    assert count_differences(marks, "rien") == ["{0}"]
