"""Word dropout, which replaces input tokens by <unk> during training."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from seq2seq.text.batching import Batch


def apply_word_dropout(
    batch: Batch, rate: float, keep: int, unk: tuple[int | None, int], features: int = 1 << 62
) -> Batch:
    """Replace each input token by <unk> with probability `rate`. The target tokens stay.

    Papers: Gal and Ghahramani 2016; Bowman et al. 2016.
    keep: The largest id of a special token. Special tokens are never replaced.
    unk: The ids of <unk> in the source and in the decoder input. None leaves a side unchanged.
    features: The smallest id of a feature in the source. Features are never replaced.
    """
    if rate == 0:
        return batch

    def blank(tokens: Tensor, unknown: int) -> Tensor:
        hit = (torch.rand(tokens.shape, device=tokens.device) < rate) & (tokens > keep)
        return tokens.masked_fill(hit, unknown)

    source, (of_source, of_inputs) = batch.source, unk
    if of_source is not None:
        noisy = blank(source, of_source)
        if source.dim() == 3:  # features follow each token
            noisy[:, :, 1:] = source[:, :, 1:]
        source = torch.where(source < features, noisy, source)
    return replace(batch, source=source, inputs=blank(batch.inputs, of_inputs))
