"""The log-probabilities of the PyTorch model, which an export is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from seq2seq.text.batching import Batch, pad_sequences, pad_sources
from seq2seq.text.open_vocabulary import close_ids

if TYPE_CHECKING:
    from seq2seq.models.folder import Model
    from seq2seq.text.codec import Ids


@torch.inference_mode()
def reference_log_probabilities(
    model: Model, sources: Sequence[np.ndarray], targets: Ids
) -> list[np.ndarray]:
    """Return the log-probabilities of each example under teacher forcing.

    sources: the encoded sources.

    The array of an example is [T + 1, V], or [W, labels] for a classifier (W = 1) or a tagger.
    """
    return [
        _one(model, source, np.asarray(target, np.int64))
        for source, target in zip(sources, targets, strict=True)
    ]


def _one(model: Model, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    network: Any = model.network.eval()
    codec = model.codec
    if not model.config.task.has_target_text:
        # A tagger's source has EOS behind each word, so behind the last one already.
        ids = source[:-1] if model.config.task.labels_each_word else source
        tokens, lengths = pad_sequences([ids], codec.source.pad, codec.source.eos)
        none = torch.zeros(0, dtype=torch.int64)
        readouts, _ = network.readouts(Batch(none.numpy(), tokens, lengths, none, none, none), None)
        logits = network.output(readouts).reshape(-1, network.output.out_features)
    else:
        written = np.array([[codec.target.bos, *target]])
        inputs = torch.from_numpy(close_ids(written, codec.target_size, codec.target.unk))
        if model.config.task.has_source:
            state = network.start(*pad_sources([source], codec))
        else:
            state = network.decoder.start_without_source(1)
        logits = network.decoder.predict(state, inputs, torch.from_numpy(written))[0][0]
    log_p: np.ndarray = logits.float().log_softmax(dim=-1).numpy()
    return log_p
