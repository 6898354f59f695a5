"""The base class of classifier and tagger, which predicts labels and their probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import torch

from seq2seq import runtime
from seq2seq.decoding.arguments import each_text
from seq2seq.decoding.embedding import Pool, embed_texts
from seq2seq.decoding.loadable import LoadableModel
from seq2seq.decoding.micro_batches import batches_by_length, windows
from seq2seq.decoding.results import Note, NoteLog, unknown_tokens_note, unknown_words_note
from seq2seq.errors import UserError
from seq2seq.models.folder import Model
from seq2seq.tasks import CLASSIFICATION, TAGGING, Task
from seq2seq.text.batching import Batch, pad_sequences
from seq2seq.text.labels import LabelSet

_WINDOW = 2048  # texts that are sorted by length together


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


class Labeller(LoadableModel):
    """A model that labels raw text: the base class of `Classifier` and `Tagger`.

    names: all labels of the model, in the order of the columns of `Labelling.probabilities`.

    A `Labeller` keeps no state between calls, so several threads may share one.
    """

    tasks: ClassVar[tuple[Task, ...]] = (CLASSIFICATION, TAGGING)

    def __init__(
        self,
        model: Model,
        *,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
        batch_size: int = 64,
    ) -> None:
        """Move the network of `model` to a device.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        batch_size: the largest number of texts in a batch.

        Raises UserError for a batch size below 1.
        """
        if batch_size < 1:
            raise UserError(f"the batch size must be at least 1, but batch_size is {batch_size}")
        self.device, self.dtype = device or torch.device("cpu"), dtype or torch.float32
        self.codec, self.batch_size = model.codec, batch_size
        self.max_tokens = model.config.data.max_tokens
        labels = model.codec.require_labels()
        assert isinstance(labels, LabelSet)
        self.names = labels.names
        self.network = model.network.ready(self.device)

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
        return cls(model, device=device, dtype=dtype, batch_size=batch_size)

    def label(self, texts: Iterable[str], first: int = 1) -> Iterator[Labelling]:
        """Yield the labels and their probabilities for each text, in order.

        A tagger expects texts whose words are separated by single spaces. first: the number of the
        first text in the notes.
        """
        for window in windows(texts, _WINDOW):
            yield from self._window(window, first)
            first += len(window)

    def embed(self, texts: Iterable[str], pooling: Pool = "summary") -> np.ndarray:
        """Return one encoder vector for each text, [N, C] float32. A blank text gets zeros.

        A tagger expects texts whose words are separated by white space, and returns the mean of the
        states of the words.

        pooling: "summary" for the encoder's summary of the text, "mean" for the mean of the encoder
        states. Raises TypeError if `texts` is a single string, or if a text is not a string.
        """
        lines = list(each_text(texts, "texts"))
        if self.codec.task.labels_each_word:
            lines = [" ".join(line.split()) for line in lines]
        return embed_texts(
            self.network,
            self.codec,
            lines,
            pooling=pooling,
            device=self.device,
            dtype=self.dtype,
            batch_size=self.batch_size,
            max_tokens=self.max_tokens,
        )

    def _window(self, texts: list[str], first: int) -> list[Labelling]:
        """Return the labels of some texts. first: the number of the first text, for notes."""
        ids = self.codec.source_ids(texts)
        note = unknown_words_note if self.codec.task.labels_each_word else unknown_tokens_note
        labellings = [Labelling([], np.zeros((0, len(self.names)), np.float32)) for _ in texts]
        order = sorted(
            (i for i, text in enumerate(texts) if text.strip()), key=lambda i: len(ids[i])
        )
        sizes = [len(ids[i]) + 1 for i in order]
        for now in batches_by_length(sizes, most=self.batch_size, longest=self.max_tokens):
            rows = order[now]
            for row, probabilities in zip(
                rows, self._probabilities([ids[i] for i in rows]), strict=True
            ):
                likeliest = probabilities.argmax(axis=1)
                notes = note(first + row, texts[row], ids[row], self.codec.source)
                names = [self.names[i] for i in likeliest]
                labellings[row] = Labelling(names, probabilities, notes)
        return labellings

    @torch.inference_mode()
    def _probabilities(self, ids: Sequence[list[int]]) -> list[np.ndarray]:
        """Return the label probabilities of each text, as one array [W, labels] float32.

        W is 1 for a classifier, and the number of words in the text for a tagger.

        ids: the source token ids of each text.
        """
        source, words = self.codec.source, self.codec.task.labels_each_word
        texts = [np.asarray(row[: -1 if words else None], np.int64) for row in ids]
        tokens, lengths = pad_sequences(texts, source.pad, source.eos)
        none = torch.zeros(0, dtype=torch.int64)
        batch = Batch(none.numpy(), tokens, lengths, none, none, none).to(self.device)
        with runtime.autocast(self.device, self.dtype):
            readouts, _ = self.network.readouts(batch, None)
            logits = self.network.output(readouts)
        probabilities = logits.float().softmax(dim=-1).cpu().numpy()
        if not words:
            return list(probabilities[:, None])
        counts = [row.count(source.eos) for row in ids]
        return [rows[:count] for rows, count in zip(probabilities, counts, strict=True)]


def logged_labels(labellings: Iterable[Labelling]) -> Iterator[list[str]]:
    """Yield the labels of each text, and log the notes on it as warnings."""
    with NoteLog() as log:
        for labelling in labellings:
            log.add(labelling.notes)
            yield labelling.labels
