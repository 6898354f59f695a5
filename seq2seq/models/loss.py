"""The training loss: cross-entropy of the output layer, with label smoothing and R-Drop."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.profiler import record_function

from seq2seq import runtime
from seq2seq.models.network import HiddenState, Network
from seq2seq.models.output_loss import OutputLoss, OutputSettings
from seq2seq.models.token_loss import mean_token_losses
from seq2seq.text.batching import Batch


@dataclass(frozen=True)
class Loss:
    """The loss of a batch, summed over all target tokens except padding.

    total: The loss to differentiate, a scalar in nats. It includes label smoothing and `scale`.
    token_nll: The nll of each token, [n] in nats. With R-Drop, each token has two values.
    hidden: The state at the end of the batch, see `Network.readouts`.
    """

    total: Tensor
    nll: Tensor
    token_nll: Tensor
    tokens: int
    hidden: HiddenState | None = None


def cross_entropy(
    network: Network,
    batch: Batch,
    hidden: HiddenState | None = None,
    *,
    smoothing: float = 0.0,
    scale: float = 1.0,
    r_drop: float = 0.0,
) -> Loss:
    """Return the cross-entropy of a batch under teacher forcing. The output layer skips padding.

    hidden: The state at the end of the previous batch, see `Network.readouts`.
    smoothing: ε of label smoothing towards the uniform distribution (Szegedy et al. 2016).
    scale: The factor by which the total is multiplied.
    r_drop: α of R-Drop (Liang et al. 2021). If α is above 0, the batch passes through the network
        twice with different dropout masks. The total is then the mean loss of both passes plus α/2
        times the mean of the two KL divergences between both predictions.
    """
    if network.is_mixture:
        return _mixture_loss(network, batch, smoothing, scale, r_drop)
    readouts, hidden = network.readouts(duplicate_batch(batch) if r_drop else batch, hidden)
    with record_function("output and loss"):
        output, rows, index = network.output, readouts.flatten(0, -2), batch.target_index
        wanted = batch.outputs.flatten()[index]
        if r_drop:  # make the two passes of each token neighbours
            index = torch.stack([index, index + len(rows) // 2], dim=1).flatten()
            wanted, scale = wanted.repeat_interleave(2), scale / 2
        dtype, learning = runtime.matmul_dtype(output.weight), torch.is_grad_enabled()
        settings = OutputSettings(dtype, smoothing, scale, r_drop, learning)
        # OutputLoss chooses its dtypes itself. On a GPU, autocast would change them.
        with torch.autocast(rows.device.type, enabled=False):
            total, token_nll = OutputLoss.apply(  # type: ignore[no-untyped-call]
                rows, output.weight, output.bias, index, wanted, settings
            )
    nll = token_nll.sum() / 2 if r_drop else token_nll.sum()
    return Loss(total, nll, token_nll, len(batch.target_index), hidden)


def _mixture_loss(
    network: Network, batch: Batch, smoothing: float, scale: float, r_drop: float
) -> Loss:
    """Return the loss of a network whose predictions are not a softmax of logits."""
    log_p = network.log_probabilities(duplicate_batch(batch) if r_drop else batch).flatten(0, -2)
    with record_function("output and loss"):
        index = batch.target_index
        wanted = batch.outputs.flatten()[index]
        passes = torch.stack([part[index] for part in log_p.chunk(2 if r_drop else 1)])
        losses, token_nll = mean_token_losses(
            passes, wanted, smoothing=smoothing, r_drop=r_drop, size=network.output.out_features
        )
        nll = token_nll.mean(dim=0).sum()
        return Loss(scale * losses.sum(), nll, token_nll.T.flatten(), len(index))


def duplicate_batch(batch: Batch) -> Batch:
    """Return a batch with all sources and targets twice. `target_index` does not change."""
    source, lengths, inputs, outputs = (
        torch.cat([part, part])
        for part in (batch.source, batch.lengths, batch.inputs, batch.outputs)
    )
    copied = None if batch.copied is None else torch.cat([batch.copied, batch.copied])
    both = replace(batch, source=source, lengths=lengths, inputs=inputs, outputs=outputs)
    return replace(both, copied=copied)
