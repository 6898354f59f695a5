"""Minimum Bayes risk against its formula written out with sacrebleu's sentence scores."""

import math

import pytest
import sacrebleu

from seq2seq.decoding.minimum_risk import expected_utilities

TEXTS = [
    "a man rides a horse on the beach",
    "a man is riding a horse on the beach",
    "a man is riding a horse by the sea",
    "two dogs sleep",
    "a man is riding a horse on the beach",
]
METRICS = {"chrf": sacrebleu.CHRF(), "bleu": sacrebleu.BLEU(effective_order=True)}


@pytest.mark.parametrize("utility", METRICS)
@pytest.mark.parametrize("weights", [[0.0] * 5, [-1.0, -2.5, -0.3, -800.0, -4.0]])
def test_it_is_the_formula(utility, weights):
    total = sum(map(math.exp, weights))
    found = expected_utilities(TEXTS, weights, utility)
    for text, gain in zip(TEXTS, found, strict=True):
        expected = sum(
            math.exp(weight) / total * METRICS[utility].sentence_score(text, [other]).score
            for other, weight in zip(TEXTS, weights, strict=True)
        )
        assert gain == pytest.approx(expected)
    if len(set(weights)) == 1:  # the odd one out is worst, and what is said twice is best
        assert min(found) == found[3]
        assert max(found) == found[1] == found[4]


def test_bleu_counts_the_tokens_of_the_language():
    texts = ["我喜欢在公园里看书", "我喜欢在公园里跑步", "他昨天买了三本新书"]
    found = expected_utilities(texts, [0.0] * 3, "bleu", tokens="zh")
    assert min(found[:2]) > found[2] + 10
    assert expected_utilities(texts, [0.0] * 3, "bleu") == pytest.approx([100 / 3] * 3)
    lower = expected_utilities(["A B C D", "a b c d"], [0.0] * 2, "bleu", lowercase=True)
    assert lower == pytest.approx([100.0] * 2)


def test_one_certain_candidate_is_all_that_counts():
    found = expected_utilities(TEXTS, [-900.0, -900.0, -900.0, 0.0, -900.0], "bleu")
    assert max(found) == found[3] == pytest.approx(100)


def test_a_weight_that_no_float_holds_does_no_harm():
    assert expected_utilities(["a b", "c d"], [-2000.0, -2000.0], "chrf") == pytest.approx(
        [50.0, 50.0]
    )
