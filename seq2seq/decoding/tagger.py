"""The sequence tagger, which predicts one label for each word of a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from seq2seq.decoding.arguments import require_many
from seq2seq.decoding.labeller import Labeller, Labelling, logged_labels
from seq2seq.tasks import TAGGING, Task
from seq2seq.text.example import join_words


class Tagger(Labeller):
    """A model of the task "tagging". Open a model folder with `Tagger.load(folder)`."""

    tasks: ClassVar[tuple[Task, ...]] = (TAGGING,)

    def tag(self, sentences: Iterable[str | Sequence[str]]) -> list[list[str]]:
        """Return one list of labels for each sentence, with one label for each word.

        The list of a blank sentence is empty.

        Unknown tokens are logged as warnings.

        sentences: each sentence is a list of words, or a string with whitespace between the words.
        Raises TypeError if `sentences` is a single string instead of a list, or if a word is not a
        string. Raises UserError if a word is empty or contains a space.
        """
        return list(logged_labels(self.stream(sentences)))

    def stream(
        self, sentences: Iterable[str | Sequence[str]], *, first: int = 1
    ) -> Iterator[Labelling]:
        """Yield the labels of each sentence and the probabilities of all labels, in order.

        The probabilities are [words, labels]. Reads at most 2048 sentences ahead, so memory does
        not grow with the input.

        first: the number of the first sentence. Messages count the sentences from this number.

        Raises the same errors as `tag`.
        """
        require_many(sentences, "sentences")
        texts = (
            " ".join(sentence.split())
            if isinstance(sentence, str)
            else join_words(sentence, f"sentence {number}")
            for number, sentence in enumerate(sentences, start=first)
        )
        return self.label(texts, first)
