"""The text classifier, which predicts one label for each text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.labeller import Labeller, Labelling, logged_labels
from seq2seq.tasks import CLASSIFICATION, Task


class Classifier(Labeller):
    """A model of the task "classification". Open a model folder with `Classifier.load(folder)`."""

    tasks: ClassVar[tuple[Task, ...]] = (CLASSIFICATION,)

    def classify(self, texts: Iterable[str]) -> list[str]:
        """Return the most likely label of each text, in order. The label of a blank text is "".

        Unknown tokens are logged as warnings.

        Raises TypeError if `texts` is a single string instead of a list, or if a text is not a
        string.
        """
        return ["".join(labels) for labels in logged_labels(self.stream(texts))]

    def stream(self, texts: Iterable[str], *, first: int = 1) -> Iterator[Labelling]:
        """Yield the label of each text and the probabilities [1, labels] of all labels, in order.

        Reads at most 2048 texts ahead, so memory does not grow with the input.

        first: the number of the first text. Warnings count the texts from this number.

        Raises the same errors as `classify`.
        """
        return self.label(each_text(texts, "texts"), first)
