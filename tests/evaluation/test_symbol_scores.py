"""Error rates of symbols: known answers, brute force, and what `seq2seq evaluate` prints."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.schema import Config
from seq2seq.config.tokenizer_section import TokenizerConfig
from seq2seq.errors import UserError
from seq2seq.evaluation.symbol_scores import (
    Confusion,
    SymbolComparison,
    align_symbols,
    edit_distance,
    scored_by_symbols,
    scored_by_text,
    symbol_splitter,
)
from seq2seq.text.compared_form import ComparedForm

PHONES = symbol_splitter(TokenizerConfig(kind="symbols"))
SHORT = st.lists(st.sampled_from("abc"), max_size=6)


def compared(
    outputs: list[str], references: list[str], *more: list[str], lowercase: bool = False
) -> SymbolComparison:
    form = ComparedForm(lowercase=lowercase)
    return SymbolComparison(outputs, references, PHONES, more_references=more, form=form)


def brute_force(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        changed = distance(i - 1, j - 1) + (one[i - 1] != other[j - 1])
        return min(changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(one), len(other))


@given(SHORT, SHORT)
def test_distance_and_alignment_agree_with_brute_force(one: list[str], other: list[str]) -> None:
    expected = brute_force(tuple(one), tuple(other))
    assert edit_distance(one, other) == expected
    pairs = align_symbols(one, other)
    assert sum(a != b for a, b in pairs) == expected
    assert [a for a, _ in pairs if a] == one
    assert [b for _, b in pairs if b] == other


def test_rates_by_hand() -> None:
    # "kitten" → "sitting" has distance 3, the second item is right, the third lacks one symbol.
    outputs = ["s i t t i n g", "AE B", "AE"]
    references = ["k i t t e n", "AE B", "AE B"]
    errors = compared(outputs, references).errors()
    assert (errors.items, errors.wrong, errors.edits, errors.symbols) == (3, 2, 4, 6 + 2 + 2)
    wer, ser, distance = compared(outputs, references).scores()
    assert (wer.name, ser.name, distance.name) == ("WER", "SER", "edit distance")
    assert wer.value == pytest.approx(200 / 3)
    assert ser.value == pytest.approx(40)
    assert distance.value == pytest.approx(4 / 3)
    assert wer.signature == "nrefs:1|case:mixed|unit:symbol|separator:' '|lines:3"


def test_the_nearest_reference_counts() -> None:
    # The second list has no reference for the second item.
    compare = compared(["R EH D", "B IY"], ["R IY D", "B AY"], ["R EH D", ""])
    errors = compare.errors()
    assert (errors.wrong, errors.edits, errors.symbols) == (1, 1, 5)
    assert compare.scores()[0].signature.startswith("nrefs:2|")


def test_spaces_do_not_count_but_case_does() -> None:
    assert compared([" AE  B"], ["AE B"]).errors().wrong == 0
    assert compared(["ae b"], ["AE B"]).errors().wrong == 1
    lowercase = compared(["ae b"], ["AE B"], lowercase=True)
    assert lowercase.errors().wrong == 0
    assert "case:lc" in lowercase.scores()[0].signature


def test_empty_sides() -> None:
    assert compared([""], [""]).errors().word_error_rate == 0
    assert compared(["A B"], [""]).scores()[1].value == 200
    assert compared([""], ["A B"]).scores()[1].value == 100
    with pytest.raises(UserError, match="no lines to score"):
        compared([], [])
    with pytest.raises(UserError, match="2 hypotheses but 1 references"):
        compared(["a", "b"], ["a"])


def test_confusions_are_sorted_by_their_number() -> None:
    compare = compared(["AH B", "AH", "AE B IY"], ["AE B", "AE", "AE IY"])
    assert compare.confusions(9) == [Confusion("AE", "AH", 2), Confusion("", "B", 1)]
    assert compare.confusions(1) == [Confusion("AE", "AH", 2)]


def test_errors_by_length() -> None:
    compare = compared(["A", "B", "C", "D"], ["A", "X", "C", "Y"])
    buckets = compare.by_length([1, 3, 4, 99])
    found = [(one.low, one.high, one.errors.items, one.errors.wrong) for one in buckets]
    assert found == [(0, 3, 2, 1), (4, 5, 1, 0), (25, None, 1, 1)]


@pytest.mark.parametrize(
    ("values", "unit", "symbols"),
    [
        ({"kind": "symbols", "separator": "-"}, "symbol|separator:'-'", ["a\u0308 b", "c"]),
        ({"kind": "word"}, "word", ["a\u0308", "b-c"]),
        ({"kind": "bpe"}, "code point", list("a\u0308 b-c")),
        ({"kind": "char", "unit": "grapheme"}, "grapheme", ["a\u0308", " ", "b", "-", "c"]),
    ],
)
def test_what_a_symbol_is(values: dict[str, str], unit: str, symbols: list[str]) -> None:
    splitter = symbol_splitter(TokenizerConfig.model_validate(values))
    assert splitter.unit == unit
    assert splitter.split("a\u0308 b-c") == symbols


@pytest.mark.parametrize(
    ("kind", "metric", "by_text", "by_symbols"),
    [
        ("char", "wer", False, True),
        ("char", "bleu", True, False),
        ("symbols", "wer", False, True),
        ("symbols", "chrf", True, True),
        ("word", "wer", True, True),
        ("bpe", "bleu", True, False),
    ],
)
def test_the_kind_of_target_and_the_metric_choose_the_scores(kind, metric, by_text, by_symbols):
    document = {
        "data": {"source": "a", "target": "b", "train": "t.tsv"},
        "tokenizer": {"target": {"kind": kind}, "source": {"kind": "char"}},
        "training": {"epochs": 1},
        "validation": {"metric": metric},
    }
    config = Config.model_validate(document)
    assert scored_by_text(config) == by_text
    assert scored_by_symbols(config) == by_symbols
