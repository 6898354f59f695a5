"""References in another Unicode form than the outputs: the scores, and the labels of confusions."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.config.schema import Config
from seq2seq.config.tokenizer_section import Normalization
from seq2seq.config.toml import parse_config
from seq2seq.evaluation.confusion_labels import confusion_labels
from seq2seq.evaluation.output_scores import score_outputs
from seq2seq.evaluation.symbol_scores import Confusion
from seq2seq.text.compared_form import ComparedForm
from seq2seq.text.example import Example
from seq2seq.text.normalization import TextRules
from seq2seq.text.scripts import BleuTokenizer
from seq2seq.training.validation import TextScorer

FORMS: st.SearchStrategy[Normalization] = st.sampled_from(["nfc", "nfd"])
BLEU = BleuTokenizer("13a", "the tokenizer of the test")
# The second item has its only NFD reference in the further references.
EXAMPLES = [
    Example("n", "n e\u0303 p a\u0303 \u1ea1"),
    Example("m", "m a t i", references=("m \u00f5 t a\u0303",)),
]
OUTPUTS = ["n \u1ebd p \u00e3 \u1ea1", "m \u00f5 t \u00e3"]


class Items:
    """A data set that consists of `EXAMPLES`."""

    def examples(self) -> Iterator[Example]:
        return iter(EXAMPLES)


def translator(kind: str, rule: str, metric: str = "wer") -> Config:
    target = {"kind": kind, "normalization": rule}
    values = {
        "data": {"train": "t.tsv", "valid": "v.tsv", "source": "w", "target": "p"},
        "tokenizer": {"source": {"kind": "char"}, "target": target, "joint": False},
        "validation": {"metric": metric},
        "training": {"epochs": 1},
    }
    return parse_config(values, "here")


@given(st.text(), FORMS, st.booleans())
def test_what_the_model_writes_equals_its_reference(
    reference: str, rule: Normalization, lowercase: bool
) -> None:
    form = ComparedForm(lowercase, rule)
    written = TextRules(lowercase=lowercase, normalization=rule).prepare(reference)
    assert form.apply(written) == form.apply(reference)
    for other in ("NFC", "NFD"):
        equivalent = unicodedata.normalize(other, reference)
        plain = ComparedForm(normalization=rule)
        assert plain.apply(equivalent) == plain.apply(reference)


def test_without_a_unicode_form_different_texts_stay_different() -> None:
    for rule in ("identity", "whitespace", "nmt_nfkc"):
        form = ComparedForm.of(translator("symbols", rule).tokenizer)
        assert form == ComparedForm()
        assert form.apply("t\u02b0") != form.apply("th")
        assert form.apply("\u00e3") != form.apply("a\u0303")
        assert form.signature == "case:mixed"


@pytest.mark.parametrize("kind", ["symbols", "word", "char", "bpe"])
def test_validation_and_evaluation_compare_in_the_form_of_the_model(kind: str) -> None:
    for rule, wer in (("identity", 100), ("nfc", 0), ("nfd", 0)):
        config = translator(kind, rule)
        validated = dict.fromkeys(("exact_match", "wer", "ser", "bleu"))
        TextScorer(config, Items()).score(OUTPUTS, validated)  # type: ignore[arg-type]
        text = BLEU if kind in ("word", "bpe") else None
        result = score_outputs(config, EXAMPLES, OUTPUTS, bleu=text)
        scores = {score.name: score for score in result.scores}
        assert validated["wer"] == scores["WER"].value == wer
        assert validated["ser"] == scores["SER"].value
        assert (scores["SER"].value == 0) == (scores["edit distance"].value == 0) == (not wer)
        assert validated["exact_match"] == scores["exact match"].value == 100 - wer
        assert bool(result.confusions) == bool(wer)
        for name in ("WER", "exact match"):
            assert (f"|norm:{rule}|" in scores[name].signature) == (rule != "identity")


def test_sacrebleu_compares_the_raw_texts() -> None:
    results = [
        score_outputs(translator("bpe", rule, "bleu"), EXAMPLES, OUTPUTS, bleu=BLEU).scores
        for rule in ("identity", "nfc")
    ]
    for raw, composed in zip(*results, strict=True):
        assert (raw == composed) == (raw.name != "exact match")
        assert raw.value < 100 or raw.name == "TER"


def test_confusions_of_symbols_that_look_alike_can_be_told_apart() -> None:
    confusions = [
        Confusion("a\u0303", "b", 4),
        Confusion("\u00e3", "b", 3),
        Confusion("", "\u0303", 2),
        Confusion(" ", "\u0303a", 1),
        Confusion("\u1ebd", "t\u200d", 1),
    ]
    assert confusion_labels(confusions) == [
        ("a\u0303 (U+0061 U+0303)", "b"),
        ("\u00e3 (U+00E3)", "b"),
        ("(nothing)", "U+0303"),
        ("U+0020", "U+0303 U+0061"),
        ("\u1ebd", "t\u200d (U+0074 U+200D)"),
    ]


SYMBOL = st.text("ab \u0303\u00e3\u1ebd\u00a0\u200d\u212b\u00c5", max_size=3)


@given(st.lists(st.builds(Confusion, SYMBOL, SYMBOL, st.just(1)), max_size=8))
def test_different_symbols_have_different_labels(confusions: list[Confusion]) -> None:
    pairs = zip(confusion_labels(confusions), confusions, strict=True)
    labels: dict[str, str] = {}
    for (reference, output), one in pairs:
        for label, symbol in ((reference, one.reference), (output, one.output)):
            composed = unicodedata.normalize("NFC", label)
            assert labels.setdefault(composed, symbol) == symbol
