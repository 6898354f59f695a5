"""`training.class_weights`: the weights, and a rare label that is learned because of them."""

from __future__ import annotations

import pytest

import seq2seq
from seq2seq.errors import UserError
from seq2seq.training.class_weights import class_weights

pytestmark = pytest.mark.usefixtures("no_picture")

# The same text has two labels: the more frequent one is the better guess, unless weights differ.
_PAIRS = [(f"text {i % 5}", "rare" if i % 20 == 0 else "usual") for i in range(100)]


def configuration(task="classification", **training):
    return {
        "task": task,
        "data": {"source": "text", "target": "label", "drop_duplicates": False},
        "tokenizer": {"kind": "char"},
        "encoder": {"embedding": 8, "hidden": 8},
        "context": {"size": 8, "heads": 2},
        "training": {
            "updates": 60,
            "learning_rate": 0.02,
            "warmup": 0,
            "device": "cpu",
            "precision": "fp32",
            "threads": 1,
            **training,
        },
        "validation": {"every": 60},
    }


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, "usual"),
        ("balanced", "rare"),  # 5 of 20 are rare in "text 0"; rare weighs 10, usual 0.53
        ({"rare": 9}, "rare"),
        ({"usual": 9.0}, "usual"),
    ],
)
def test_weights_decide_what_is_predicted(tmp_path, weights, expected):
    extra = {} if weights is None else {"class_weights": weights}
    result = seq2seq.train(configuration(**extra), _PAIRS, _PAIRS, out=tmp_path / "run")
    assert seq2seq.Classifier.load(result.model).classify(["text 0"]) == [expected]


def test_balanced_labels_have_the_same_total_weight(models):
    from seq2seq.models.folder import load_model
    from seq2seq.text.dataset import Dataset, encode_examples
    from seq2seq.text.example import Example
    from seq2seq.text.preparation import PreparedData

    codec = load_model(models["tag"]).codec
    examples = [Example("a cat", "A A"), Example("dog", "B"), Example("a red dog", "A A B")]
    dataset = Dataset.in_memory(encode_examples(examples, codec))
    data = PreparedData(models["tag"], codec, dataset, dataset)
    weights = class_weights("balanced", data).tolist()
    assert weights == pytest.approx([6 / (2 * 4), 6 / (2 * 2), 1.0])  # no word has the label C
    assert class_weights({"B": 3}, data).tolist() == [1.0, 3.0, 1.0]
    assert class_weights(None, data) is None
    with pytest.raises(UserError, match=r"training\.class_weights: unknown label 'D'"):
        class_weights({"D": 3}, data)


@pytest.mark.parametrize("wrong", ["equal", {"a": 0}, {"a": -1.0}, {"a": True}, ["a"], 3])
def test_a_wrong_value_is_one_line(wrong, tmp_path):
    with pytest.raises(UserError) as caught:
        seq2seq.train(configuration(class_weights=wrong), _PAIRS, _PAIRS, out=tmp_path)
    message = "training.class_weights: must be 'balanced' or a table of labels and weights above 0"
    assert message in str(caught.value)
    assert str(caught.value).count("class_weights") == 1


def test_a_task_without_labels_has_no_class_weights(toy):
    with pytest.raises(UserError, match=r"predicts no labels: leave out training\.class_weights"):
        toy.config("training.class_weights=balanced")


def test_they_are_in_the_model_folder(tmp_path):
    from seq2seq.models.folder import load_model_config

    weights = {"rare label": 2.5, "ü.x": 1.0}
    pairs = [(text, {"rare": "rare label", "usual": "ü.x"}[label]) for text, label in _PAIRS]
    pairs = [(text, label.replace(" ", "_")) for text, label in pairs]
    weights = {name.replace(" ", "_"): weight for name, weight in weights.items()}
    config = configuration(class_weights=weights, updates=1)
    result = seq2seq.train(config, pairs, pairs, out=tmp_path / "run")
    assert load_model_config(result.model).training.class_weights == weights
