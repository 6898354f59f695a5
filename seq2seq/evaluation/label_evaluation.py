"""Evaluate a classifier or a tagger."""

from __future__ import annotations

import itertools
import logging
import operator
import time
from collections.abc import Sequence

from seq2seq.config.data_section import DataConfig
from seq2seq.decoding.labeller import Labeller
from seq2seq.errors import UserError, counted
from seq2seq.evaluation.classification import classification_scores, confusion_matrix
from seq2seq.evaluation.evaluation_result import EvaluationResult, split_sides
from seq2seq.evaluation.scores import Score
from seq2seq.progress import track
from seq2seq.text.corpus import read_examples
from seq2seq.text.example import Example

_log = logging.getLogger(__name__)


def evaluate_labels(
    labeller: Labeller, data: DataConfig, examples: Sequence[Example], name: str
) -> EvaluationResult:
    """Score the labels that a classifier or a tagger predicts.

    data: The data sets of the model. The words of its training set count as known words.
    examples: The data set to score.
    name: The name of that data set in messages.
    Raises UserError if a row has the wrong number of labels.
    """
    texts, references = split_sides(examples)
    start = time.perf_counter()
    labellings = track(labeller.label(texts), "labelling", len(texts))
    predictions = [labelling.labels for labelling in labellings]
    seconds = time.perf_counter() - start
    truths = [line.split(" ") for line in references]
    # The model predicts no label for a blank text. This counts as an error.
    predictions = [
        predicted or [""] * len(true) for predicted, true in zip(predictions, truths, strict=True)
    ]
    for number, (predicted, true) in enumerate(zip(predictions, truths, strict=True), start=1):
        if len(predicted) != len(true):
            raise UserError(
                f"{name}, row {number}: the text needs {counted(len(predicted), 'label')}, "
                f"but has {len(true)}"
            )
    all_predicted = list(itertools.chain(*predictions))
    all_true = list(itertools.chain(*truths))
    # The set may contain labels that the model does not know and so never predicts.
    names = sorted({*labeller.names, *all_true, *all_predicted})
    counts = confusion_matrix(all_true, all_predicted, names)
    scores = classification_scores(counts)
    if labeller.codec.task.labels_each_word:
        whole = sum(map(operator.eq, predictions, truths))
        scores.append(Score("exact match", 100 * whole / len(truths), counted(len(truths), "text")))
        scores += _unknown_word_accuracy(data, texts, all_true, all_predicted)
    outputs = [" ".join(labels) for labels in predictions]
    return EvaluationResult(scores, seconds, outputs=outputs, confusion=counts, names=names)


def _unknown_word_accuracy(
    data: DataConfig, texts: list[str], true: list[str], predicted: list[str]
) -> list[Score]:
    """Return a list with one score: the accuracy over words that are not in the training text.

    The list is empty if the training set cannot be read, or if it contains all words.
    """
    try:
        training_texts = (example.source for example in read_examples(data, "train"))
        known = {word for text in training_texts for word in text.split(" ")}
    except UserError as error:  # the training set may be on another machine
        _log.warning(
            "accuracy on unknown words is left out, because the training set cannot be read: %s",
            error,
        )
        return []
    words = (word for text in texts for word in text.split(" "))
    labelled = zip(words, true, predicted, strict=True)
    hits = [label == prediction for word, label, prediction in labelled if word not in known]
    if not hits:
        return []
    accuracy = 100 * sum(hits) / len(hits)
    return [Score("accuracy, unknown words", accuracy, counted(len(hits), "word"))]
