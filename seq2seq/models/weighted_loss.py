"""The training loss of classifiers and taggers with a weight for each label."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import record_function

from seq2seq.models.loss import Loss, duplicate_batch
from seq2seq.models.network import Network
from seq2seq.models.token_loss import mean_token_losses
from seq2seq.text.batching import Batch


def weighted_cross_entropy(
    network: Network,
    batch: Batch,
    weights: Tensor,
    *,
    smoothing: float = 0.0,
    scale: float = 1.0,
    r_drop: float = 0.0,
) -> Loss:
    """Return the cross-entropy of a batch in which each target has the weight of its label.

    The weight multiplies the whole loss of a target, including label smoothing and R-Drop. `nll` is
    not weighted. If all weights are 1, the result is that of `cross_entropy`, which explains
    smoothing, scale and r_drop. The logits of all targets are in memory at once, so use this
    function only for output layers with few labels.

    weights: the weight of each label, [V] float32.
    """
    readouts, hidden = network.readouts(duplicate_batch(batch) if r_drop else batch, None)
    with record_function("output and loss"):
        rows, index = readouts.flatten(0, -2), batch.target_index
        wanted = batch.outputs.flatten()[index]  # [n]
        passes = rows.chunk(2) if r_drop else (rows,)
        # Autocast may compute the logits in bf16, which is too coarse for a sum of logarithms.
        log_p = torch.stack([_log_softmax(network, part[index]) for part in passes])  # [P, n, V]
        losses, token_nll = mean_token_losses(
            log_p, wanted, smoothing=smoothing, r_drop=r_drop, size=log_p.shape[2]
        )
        total = scale * (weights[wanted] * losses).sum()
    return Loss(total, token_nll.mean(dim=0).sum(), token_nll.T.flatten(), len(index), hidden)


def _log_softmax(network: Network, rows: Tensor) -> Tensor:
    logits: Tensor = network.output(rows)
    wide = torch.promote_types(logits.dtype, torch.float32)
    return F.log_softmax(logits, dim=1, dtype=wide)
