"""Capitals as marks: no text is lost, and words in capitals share their subwords."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.text.case_marks import MARKS, CaseMarker
from seq2seq.text.tokenizer import Tokenizer, train_tokenizer

MARKER = CaseMarker(["<b>", "<2FR>"])
ODD = "aAbBzZ iIıİßẞǅǄǆΣσς'<b>Éé\u0301\u0307\u0345日1_ŉﬁ  " + MARKS
TEXT = st.text(st.sampled_from(ODD) | st.characters(codec="utf-8"), max_size=30)


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("The BAKER buys BREAD AND MILK.", "⇧ the⇪ baker buys⇑ bread and milk."),
        ("THE BAKER buys", "⇑ the baker⇓ buys"),
        ("the USA I saw", " the⇪ usa⇧ i saw"),
        ("I DON'T KNOW", "⇑ i don't know"),
        ("McDonald İstanbul ßa", " McDonald İstanbul ßa"),
        ("ISTANBUL ıI STRASSE", "⇪ istanbul ıI⇪ strasse"),
        ("ǅungla", "⇧ ǆungla"),
        ("l'Angleterre", " l'⇧angleterre"),
        ("<2FR> <b>The</b>", " <2FR> <b>⇧the</b>"),
        ("⇧a", " ⇴⇧a"),
        ("", ""),
    ],
)
def test_marks(text: str, marked: str) -> None:
    assert MARKER.mark_case(text)[0] == marked
    assert MARKER.restore_case(marked)[0] == text


@given(text=TEXT)
@settings(max_examples=1000)
def test_no_text_is_lost(text: str) -> None:
    marked, origins = MARKER.mark_case(text)
    restored, starts = MARKER.restore_case(marked)
    assert restored == text
    assert len(origins) == len(starts) == len(marked)
    assert all(0 <= origin <= len(text) for origin in origins)
    assert starts == sorted(starts)


@given(marked=st.text(st.sampled_from("aßi ." + MARKS), max_size=20))
def test_any_output_of_a_model_can_be_restored(marked: str) -> None:
    text, starts = MARKER.restore_case(marked)
    assert len(starts) == len(marked)
    assert all(0 <= start <= len(text) for start in starts)


LINES = ["The baker buys bread.", "the nurse saw the dog", "Paul is HERE AND THERE"] * 9
_learned: dict[str, Tokenizer] = {}


def marked_tokenizer(kind: str) -> Tokenizer:
    if kind not in _learned:
        size = {"bpe": 330, "unigram": 290}.get(kind, 60)
        values = TokenizerConfig(
            kind=kind, vocabulary=size, case="marked", symbols=["<b>"], normalization="identity"
        )
        _learned[kind] = train_tokenizer(LINES, values)
    return _learned[kind]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "char"])
def test_capitals_share_subwords(kind: str) -> None:
    made = Tokenizer(marked_tokenizer(kind).model)  # the file alone says what it is
    plain, upper, title = made.encode(["the baker", "THE BAKER", "The baker"])
    span, first = made.piece_ids(["⇑", "⇧"])
    assert upper == [span, *plain]
    assert title == [first, *plain]
    assert made.decode([upper, title]) == ["THE BAKER", "The baker"]
    assert made.decode(made.encode(LINES)) == LINES


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
@given(text=TEXT)
@settings(max_examples=200)
def test_any_text_comes_back(kind: str, text: str) -> None:
    made = marked_tokenizer(kind)
    text = text.replace("▁", " ")  # SentencePiece writes a space so
    (ids,) = made.encode([text])
    breaks = str.maketrans(dict.fromkeys("\0\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))
    assert made.decode([ids]) == [text.translate(breaks)]


@pytest.mark.parametrize("kind", ["bpe", "unigram", "char"])
def test_words_and_starts_are_those_of_the_text(kind: str) -> None:
    made = marked_tokenizer(kind)
    text = "The BAKER AND Paul  saw <b> BREAD"
    (ids,) = made.encode([text])
    words = made.piece_words(text)
    assert len(words) == len(ids)
    assert sorted(set(words)) == list(range(len(text.split())))
    starts = made.piece_starts(ids)
    assert starts == sorted(starts)
    assert starts[-1] < len(text)
