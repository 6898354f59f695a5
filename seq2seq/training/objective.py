"""What training makes small."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from seq2seq.models.translation import Translation
from seq2seq.text.batching import Batch


@dataclass(frozen=True)
class Loss:
    """Sums over the real target tokens of a batch, in nats, float32 scalars.

    total: with label smoothing, what is differentiated; nll: the plain negative log-likelihood.
    """

    total: Tensor
    nll: Tensor
    tokens: int


def cross_entropy(network: Translation, batch: Batch, *, pad: int, smoothing: float = 0.0) -> Loss:
    """Cross-entropy of teacher forcing, smoothed towards the uniform distribution (Szegedy 2016).

    The output layer runs over real tokens only: padding costs it nothing.
    """
    memory = network.encoder(batch.source, batch.lengths)
    readouts = network.decoder.readouts(memory, batch.inputs)  # [B, T, E]
    real = batch.outputs != pad  # [B, T]
    wanted = batch.outputs[real]  # [n]
    logits = network.decoder.output(readouts[real])  # [n, V]
    log_probabilities = F.log_softmax(logits.float(), dim=-1)
    nll = F.nll_loss(log_probabilities, wanted, reduction="sum")
    total = nll
    if smoothing:
        uniform = -log_probabilities.mean(dim=-1).sum()
        total = (1 - smoothing) * nll + smoothing * uniform
    return Loss(total, nll.detach(), wanted.numel())


def with_word_dropout(batch: Batch, rate: float, keep: int, unk: tuple[int, int]) -> Batch:
    """Replace input tokens on both sides by <unk> at random (Gal and Ghahramani 2016; Bowman
    et al. 2016). Ids up to `keep` (the special ones) stay; outputs stay."""
    if rate == 0:
        return batch

    def blank(tokens: Tensor, unknown: int) -> Tensor:
        hit = (torch.rand(tokens.shape, device=tokens.device) < rate) & (tokens > keep)
        return tokens.masked_fill(hit, unknown)

    return Batch(
        batch.rows,
        blank(batch.source, unk[0]),
        batch.lengths,
        blank(batch.inputs, unk[1]),
        batch.outputs,
    )
