"""A classifier: one label for each text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.labeller import Labeller, Labelling
from seq2seq.tasks import CLASSIFICATION, Task


class Classifier(Labeller):
    """A model of task "classification". `Classifier.load(folder)` opens one."""

    tasks: ClassVar[tuple[Task, ...]] = (CLASSIFICATION,)

    def classify(self, texts: Iterable[str]) -> list[str]:
        """Return the most likely label of each text, in order; "" for a blank text.

        Raises TypeError for one string (give a list), and for a text that is not a string.
        """
        return ["".join(labelling.labels) for labelling in self.stream(texts)]

    def stream(self, texts: Iterable[str]) -> Iterator[Labelling]:
        """Yield the label of each text with the probabilities of all labels, [1, labels], in order.

        Reads ahead no further than a window of texts. Raises TypeError as `classify` does.
        """
        return self.label(each_text(texts, "texts"))
