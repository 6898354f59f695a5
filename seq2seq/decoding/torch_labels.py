"""A classifier or a tagger in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from seq2seq import runtime
from seq2seq.models.folder import Model
from seq2seq.text.batching import Batch, pad_sequences


class TorchLabelScorer:
    """A label scorer that runs a classifier or a tagger with PyTorch."""

    def __init__(
        self, model: Model, device: torch.device | None = None, dtype: torch.dtype | None = None
    ) -> None:
        """Move the model to a device.

        device: the device to run on; None means the CPU.
        dtype: the dtype of matrix products; None means float32.
        """
        self.device, self.dtype = device or torch.device("cpu"), dtype or torch.float32
        self.codec, self.network = model.codec, model.network.ready(self.device)

    @torch.inference_mode()
    def log_probabilities(self, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probabilities of labels (see `LabelScorer.log_probabilities`)."""
        source, words = self.codec.source, self.codec.task.labels_each_word
        # A tagger's text has EOS behind each word, so behind the last one already.
        ids = [np.asarray(row[: -1 if words else None], np.int64) for row in texts]
        tokens, lengths = pad_sequences(ids, source.pad, source.eos)
        none = torch.zeros(0, dtype=torch.int64)
        batch = Batch(none.numpy(), tokens, lengths, none, none, none).to(self.device)
        with runtime.autocast(self.device, self.dtype):
            readouts, _ = self.network.readouts(batch, None)
            logits = self.network.output(readouts)
        log_p: np.ndarray = logits.float().log_softmax(dim=-1).cpu().numpy()
        if not words:
            return list(log_p[:, None])
        counts = [list(row).count(source.eos) for row in texts]
        return [rows[:count] for rows, count in zip(log_p, counts, strict=True)]
