"""What a classifier and a tagger share: texts in, labels with their probabilities out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch

from seq2seq import runtime
from seq2seq.decoding.micro_batches import batches_by_length, windows
from seq2seq.errors import UserError
from seq2seq.models.folder import Model, load_model
from seq2seq.tasks import CLASSIFICATION, TAGGING, Task
from seq2seq.text.batching import Batch, pad_sequences
from seq2seq.text.labels import LabelSet

_WINDOW = 2048  # texts that are sorted by length together


@dataclass(frozen=True)
class Labelling:
    """The labels of one text.

    labels: the most likely label of the text, or of each of its words. probabilities [W, labels]
    float32: a row for each entry of `labels`, in the order of `Labeller.names`. Both are empty for
    a blank text.
    """

    labels: list[str]
    probabilities: np.ndarray


class Labeller:
    """The base of `Classifier` and `Tagger`: a model that labels raw text.

    names: all labels that the model knows, in the order of the probabilities. An object keeps no
    state between calls, so several threads may use it.
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
        """device: the CPU if None. dtype: of the matrix products, float32 if None. batch_size:
        texts that are labelled together. Raises UserError for a batch size below 1."""
        if batch_size < 1:
            raise UserError("the batch size must be at least 1")
        self.device, self.dtype = device or torch.device("cpu"), dtype or torch.float32
        self.codec, self.batch_size = model.codec, batch_size
        self.max_tokens = model.config.data.max_tokens
        labels = model.codec.require_labels()
        assert isinstance(labels, LabelSet)
        self.names = labels.names
        self.network = model.network.ready(self.device)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        precision: str = "fp32",
        batch_size: int = 64,
    ) -> Self:
        """Open a model folder.

        device: "auto" (a GPU if there is one), "cpu", "cuda" or "cuda:1". precision: "fp32", "bf16"
        or "auto". batch_size: texts that are labelled together. Raises UserError for a folder that
        is not a complete model folder, and for a model of another task.
        """
        chosen = runtime.select_device(device)
        dtype = runtime.select_dtype(precision, chosen)
        model = load_model(Path(folder), cls.tasks)
        return cls(model, device=chosen, dtype=dtype, batch_size=batch_size)

    def label(self, texts: Iterable[str]) -> Iterator[Labelling]:
        """Label each text, in order. The words of a tagger's text stand between single spaces."""
        for window in windows(texts, _WINDOW):
            yield from self._window(window)

    def _window(self, texts: list[str]) -> list[Labelling]:
        ids = self.codec.source_ids(texts)
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
                labellings[row] = Labelling([self.names[i] for i in likeliest], probabilities)
        return labellings

    @torch.inference_mode()
    def _probabilities(self, ids: Sequence[list[int]]) -> list[np.ndarray]:
        """[W, labels] of each text."""
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
