"""Perform one update: compute, check, clip and apply the gradients of a group of batches.

An update also maintains the exponential moving average of the weights.
"""

from __future__ import annotations

import copy
import math
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import record_function

from seq2seq import runtime
from seq2seq.config.training_sections import TrainingConfig
from seq2seq.errors import UserError
from seq2seq.models.folder import Model
from seq2seq.models.loss import cross_entropy
from seq2seq.models.network import HiddenState, Network
from seq2seq.models.weighted_loss import weighted_cross_entropy
from seq2seq.models.word_dropout import apply_word_dropout
from seq2seq.text.batching import Batch
from seq2seq.training.distributed import Ranks


@dataclass(frozen=True)
class UpdateResult:
    """The result of one update. A GPU may still be computing the scalars `nll` and `norm`.

    number: number of the update, counted from 1.
    nll: negative log-likelihood without label smoothing, summed over this rank's target tokens, in
        nats. A scalar on the device.
    norm: norm of the gradient of all ranks before clipping. A scalar on the device.
    rows: numbers of the training examples in the update, counted from 0.
    unit: what messages call the training examples: "pairs", or "tokens" in a language model.
    """

    number: int
    nll: Tensor
    norm: Tensor
    rows: np.ndarray
    unit: str = "pairs"

    def require_finite(self) -> None:
        """Raise UserError if the loss or the gradient norm is NaN or infinite.

        In that case, the update changed no weight. This method waits for the device.
        """
        nll, norm = float(self.nll), float(self.norm)
        if math.isfinite(nll) and math.isfinite(norm):
            return
        named = ", ".join(map(str, self.rows[:5] + 1)) + (", ..." if len(self.rows) > 5 else "")
        raise UserError(
            f"update {self.number}: the loss ({nll:g}) or the gradient norm ({norm:g}) is not "
            f"finite on the batch of training {self.unit} {named}. No weight was changed. Resume "
            "from the last checkpoint (--resume) with a smaller training.learning_rate."
        )


class LossModule(nn.Module):
    """A module that combines a network with its training loss.

    class_weights: weight of each label, [labels] float32; None if all labels weigh the same.
    """

    def __init__(
        self, network: Network, settings: TrainingConfig, class_weights: Tensor | None = None
    ) -> None:
        super().__init__()
        self.network, self.settings, self.class_weights = network, settings, class_weights

    def forward(
        self, batch: Batch, hidden: HiddenState | None, scale: float
    ) -> tuple[Tensor, Tensor, HiddenState | None]:
        """Return the loss to minimise, the negative log-likelihood, and the next hidden state.

        The loss is a scalar that includes label smoothing and the factor `scale`. The negative
        log-likelihood is a scalar in nats. The next batch starts from the hidden state, or from
        zeros if the hidden state is None.
        """
        network, weights, settings = self.network, self.class_weights, self.settings
        smoothing, r_drop = settings.label_smoothing, settings.r_drop
        options = {"smoothing": smoothing, "scale": scale, "r_drop": r_drop}
        if weights is None:
            loss = cross_entropy(network, batch, hidden, **options)
        else:
            loss = weighted_cross_entropy(network, batch, weights, **options)
        return loss.total, loss.nll, loss.hidden


class TrainStep:
    """A network with its optimizer and, optionally, a moving average of its weights."""

    def __init__(
        self,
        model: Model,
        settings: TrainingConfig,
        device: torch.device,
        dtype: torch.dtype,
        ranks: Ranks | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        """Move the model to the device and build its optimizer.

        dtype: type in which matrix products are computed, float32 or bfloat16.
        ranks: processes that share each batch; None for a single process.
        class_weights: weight of each label, [labels] float32; None if all labels weigh the same.
        """
        self.settings, self.device, self.dtype = settings, device, dtype
        self.ranks = ranks or Ranks()
        self.codec = model.codec
        self.unit = model.config.task.unit
        self.network = model.network.to(device)
        weights = None if class_weights is None else class_weights.to(device)
        self.objective = self.ranks.data_parallel(LossModule(self.network, settings, weights))
        # A complete network, because the average is validated and saved as the model.
        self.ema = copy.deepcopy(self.network) if settings.ema_decay else None
        self.hidden: HiddenState | None = None  # for this rank's rows, after the last batch
        groups = _groups(self.network, settings.weight_decay)
        self.optimizer: torch.optim.Optimizer
        if settings.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups, lr=0.0, fused=True)
        else:
            self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=settings.betas, fused=True)

    @property
    def validated_network(self) -> nn.Module:
        """The network to validate: the moving average if there is one, else the network itself."""
        return self.network if self.ema is None else self.ema

    def update(self, batches: list[Batch], tokens: int, rate: float, number: int) -> UpdateResult:
        """Do update number `number` with the learning rate `rate`.

        batches: this rank's share of the batches.
        tokens: number of target tokens in the shares of all ranks. The loss is the mean over them.

        If the loss or the gradient is NaN or infinite, no weight changes. On a CPU, this method
        then raises UserError. On a GPU, this method does not wait for the result, and
        `UpdateResult.require_finite` raises the error later.
        """
        source, target = self.codec.source, self.codec.target
        replacements = (None if self.codec.task.source == "condition" else source.unk, target.unk)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        nll_sum = torch.zeros((), device=self.device)
        for index, batch in enumerate(batches):
            is_last = index == len(batches) - 1  # the last batch also averages over the ranks
            with nullcontext() if is_last else self.ranks.no_sync(self.objective):
                noisy = apply_word_dropout(
                    batch.to(self.device),
                    self.settings.word_dropout,
                    target.eos,
                    replacements,
                    len(source),
                )
                hidden = self.hidden if batch.continues else None
                with runtime.autocast(self.device, self.dtype):
                    # DDP averages over the ranks, but a sum is needed: hence the factor world_size.
                    total, nll, hidden = self.objective(
                        noisy, hidden, self.ranks.world_size / tokens
                    )
                if hidden is not None:  # detached, so that the next gradient stops here
                    self.hidden = [tuple(part.detach() for part in layer) for layer in hidden]
                with record_function("backward"):
                    total.backward()
            nll_sum += nll
        with record_function("optimizer"):
            return self._apply(nll_sum, batches, rate, number)

    def _apply(self, nll: Tensor, batches: list[Batch], rate: float, number: int) -> UpdateResult:
        """Clip, check and apply the summed gradients of all batches of an update."""
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        rows = np.concatenate([batch.examples for batch in batches])
        result = UpdateResult(number, nll, norm, rows, self.unit)
        if self.device.type == "cpu":
            result.require_finite()
        # The fused optimizer divides gradients by `grad_scale` and skips the step if `found_inf` is
        # set. So clipping and checking need no pass of their own and never wait for a GPU.
        limit = self.settings.clip or math.inf
        self.optimizer.grad_scale = (norm.float() / limit).clamp_min(1)  # type: ignore[attr-defined]
        self.optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._update_ema(number)
        return result

    def gather_hidden(self) -> HiddenState | None:
        """Return the hidden state for the rows of all ranks, on the CPU; None if there is no state.

        Every rank must call this method.
        """
        if self.hidden is None:
            return None
        return [tuple(map(self.ranks.gather_rows, layer)) for layer in self.hidden]

    def shard_hidden(self, hidden: HiddenState | None) -> None:
        """Start the next batch from this rank's rows of `hidden`.

        hidden: a result of `gather_hidden`, with the rows of all ranks.
        """
        self.hidden = None
        if hidden is not None:
            self.hidden = [
                tuple(self.ranks.shard(part).to(self.device) for part in layer) for layer in hidden
            ]

    def require_finite(self, number: int) -> None:
        """Raise UserError if a weight or a value of the optimizer state is NaN or infinite.

        number: number of the last update, for the error message.
        """
        networks = [self.network] if self.ema is None else [self.network, self.ema]
        tensors = [p.detach() for network in networks for p in network.parameters()]
        for state in self.optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise UserError(
                f"update {number}: a weight became NaN or infinite. This update was not saved. "
                "Resume from the last checkpoint (--resume) with a smaller training.learning_rate."
            )

    @torch.no_grad()
    def _update_ema(self, number: int) -> None:
        """Move the average of the weights towards the current weights (Polyak and Juditsky 1992).

        The average moves faster in early updates, because early weights are of little use.
        """
        if self.ema is not None:
            decay = min(self.settings.ema_decay, (1 + number) / (10 + number))
            torch._foreach_lerp_(
                list(self.ema.parameters()), list(self.network.parameters()), 1 - decay
            )


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Return the parameter groups of the optimizer. Weight decay applies to matrices only."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
