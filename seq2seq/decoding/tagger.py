"""A tagger: one label for each word of a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from seq2seq.decoding.arguments import require_many
from seq2seq.decoding.labeller import Labeller, Labelling
from seq2seq.tasks import TAGGING, Task
from seq2seq.text.example import join_words


class Tagger(Labeller):
    """A model of task "tagging". `Tagger.load(folder)` opens one."""

    tasks: ClassVar[tuple[Task, ...]] = (TAGGING,)

    def tag(self, sentences: Iterable[str | Sequence[str]]) -> list[list[str]]:
        """Return a label for each word of each sentence, in order; [] for a blank sentence.

        A sentence is a list of words, or a string whose words stand between white space. Raises
        TypeError for one string (give a list of sentences) and for a word that is not a string, and
        UserError for a word that is empty or holds a space.
        """
        return [labelling.labels for labelling in self.stream(sentences)]

    def stream(self, sentences: Iterable[str | Sequence[str]]) -> Iterator[Labelling]:
        """Yield the labels of each sentence with the probabilities of all labels, [words, labels],
        in order. Reads ahead no further than a window of sentences. Raises as `tag` does."""
        require_many(sentences, "sentences")
        return self.label(
            " ".join(sentence.split())
            if isinstance(sentence, str)
            else join_words(sentence, f"sentence {number}")
            for number, sentence in enumerate(sentences, start=1)
        )
