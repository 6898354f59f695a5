"""The base class of classifier and tagger, which predicts labels and their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np

from seq2seq.config.schema import Config
from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.loadable import LoadableModel
from seq2seq.decoding.micro_batches import LINES_AHEAD, rows_by_length, windows
from seq2seq.decoding.results import Note, NoteLog, unknown_tokens_note, unknown_words_note
from seq2seq.errors import UserError
from seq2seq.export.artifact import NO_VECTORS, Export
from seq2seq.export.label_engine import LabelEngine
from seq2seq.tasks import CLASSIFICATION, TAGGING, Task
from seq2seq.text.codec import Codec
from seq2seq.text.labels import LabelSet

if TYPE_CHECKING:  # an exported model needs no PyTorch
    import torch

    from seq2seq.decoding.embedding import Pool
    from seq2seq.models.folder import Model


@dataclass(frozen=True)
class Labelling:
    """The predicted labels of one text. The labels are empty for a blank text.

    labels: the most likely label of the text (classifier) or of each word of the text (tagger).
    probabilities: [W, labels] float32. Row w holds the probabilities of all labels for entry w of
    `labels`. The columns are in the order of `Labeller.names`.
    notes: messages for the user about this text.
    """

    labels: list[str]
    probabilities: np.ndarray
    notes: list[Note] = field(default_factory=list)


class LabelScorer(Protocol):
    """A model that computes the log-probabilities of labels, in PyTorch or as an export."""

    def log_probabilities(self, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probabilities of the labels for each text, float32.

        The array of a text is [1, labels] for a classifier and [W, labels] for a tagger, where W is
        the number of words.

        texts: the token ids of each text, from the codec.
        """
        ...


class Labeller(LoadableModel):
    """A model that labels raw text: the base class of `Classifier` and `Tagger`.

    names: all labels of the model, in the order of the columns of `Labelling.probabilities`.

    A `Labeller` keeps no state between calls, so several threads may share one.
    """

    tasks: ClassVar[tuple[Task, ...]] = (CLASSIFICATION, TAGGING)

    def __init__(
        self, scorer: LabelScorer, codec: Codec, config: Config, *, batch_size: int = 64
    ) -> None:
        """Combine a label scorer with the codec and the configuration of its model.

        batch_size: the number of texts that are labelled together.

        Raises UserError for a batch size below 1.
        """
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, but batch_size is {batch_size}")
        self.scorer, self.codec, self.config = scorer, codec, config
        self.batch_size = batch_size
        self.max_tokens = config.data.max_tokens
        labels = codec.require_labels()
        assert isinstance(labels, LabelSet)
        self.names = labels.names

    @classmethod
    def from_model(
        cls,
        model: Model,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> Self:
        """Return a labeller that runs `model` with PyTorch (see `LoadableModel.from_model`)."""
        from seq2seq.decoding.torch_labels import TorchLabelScorer

        scorer = TorchLabelScorer(model, device, dtype)
        return cls(scorer, model.codec, model.config, batch_size=batch_size)

    @classmethod
    def from_export(cls, export: Export, *, batch_size: int = 64) -> Self:
        """Return a labeller that runs an export (see `LoadableModel.from_export`)."""
        return cls(LabelEngine(export), export.codec, export.config, batch_size=batch_size)

    def label(self, texts: Iterable[str], first: int = 1) -> Iterator[Labelling]:
        """Yield the labels and their probabilities for each text, in order.

        texts: the texts. A tagger expects single spaces between the words of a text.
        first: the number of the first text. Warnings count the texts from this number.
        """
        for window in windows(texts, LINES_AHEAD):
            yield from self._window(window, first)
            first += len(window)

    def embed(self, texts: Iterable[str], pooling: Pool = "summary") -> np.ndarray:
        """Return one encoder vector for each text, [N, C] float32. A blank text gets zeros.

        texts: the texts. A tagger expects white space between the words of a text.
        pooling: "summary" for the encoder's summary of the text, "mean" for the mean of the encoder
            states. A tagger always returns the mean of the states of the words.

        Raises TypeError if `texts` is a single string, or if a text is not a string. Raises
        UserError for an export.
        """
        if isinstance(self.scorer, LabelEngine):
            raise UserError(NO_VECTORS)
        lines = list(each_text(texts, "texts"))
        if self.codec.task.labels_each_word:
            lines = [" ".join(line.split()) for line in lines]
        from seq2seq.decoding.embedding import embed_texts
        from seq2seq.decoding.torch_labels import TorchLabelScorer

        assert isinstance(self.scorer, TorchLabelScorer)
        return embed_texts(
            self.scorer.network,
            self.codec,
            lines,
            pooling=pooling,
            device=self.scorer.device,
            dtype=self.scorer.dtype,
            batch_size=self.batch_size,
            max_tokens=self.max_tokens,
        )

    def _window(self, texts: list[str], first: int) -> list[Labelling]:
        ids = self.codec.source_ids(texts)
        note = unknown_words_note if self.codec.task.labels_each_word else unknown_tokens_note
        labellings = [Labelling([], np.zeros((0, len(self.names)), np.float32)) for _ in texts]
        present = [i for i, text in enumerate(texts) if text.strip()]
        sizes = [len(ids[i]) + 1 for i in present]
        for batch in rows_by_length(sizes, most=self.batch_size, longest=self.max_tokens):
            rows = [present[i] for i in batch]
            scored = self.scorer.log_probabilities([ids[i] for i in rows])
            for row, log_p in zip(rows, scored, strict=True):
                probabilities = np.exp(log_p)
                likeliest = probabilities.argmax(axis=1)
                notes = note(first + row, texts[row], ids[row], self.codec.source)
                names = [self.names[i] for i in likeliest]
                labellings[row] = Labelling(names, probabilities, notes)
        return labellings


def logged_labels(labellings: Iterable[Labelling]) -> Iterator[list[str]]:
    """Yield the labels of each text. Log notes, such as unknown tokens, as warnings."""
    with NoteLog() as log:
        for labelling in labellings:
            log.add(labelling.notes)
            yield labelling.labels
