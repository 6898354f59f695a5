"""One update: gradients of a group of batches, clipped, checked, applied, averaged."""

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
from seq2seq.config.schema import TrainingConfig
from seq2seq.errors import UserError
from seq2seq.models.folder import Model
from seq2seq.models.loss import apply_word_dropout, cross_entropy
from seq2seq.models.network import HiddenState, Network
from seq2seq.text.batching import Batch
from seq2seq.training.distributed import Ranks


@dataclass(frozen=True)
class UpdateResult:
    """nll: summed over this rank's target tokens, in nats, without smoothing; norm: of the gradient
    of all ranks, unclipped; both scalars on the device, which may still be computing them."""

    number: int
    nll: Tensor
    norm: Tensor
    rows: np.ndarray  # the training examples of the update, numbered from 0
    unit: str = "pairs"  # what an example is: "pairs", or "tokens" of a text

    def require_finite(self) -> None:
        """Wait for the device. Raises UserError where loss or gradient is inf or NaN; no weight has
        changed then."""
        nll, norm = float(self.nll), float(self.norm)
        if math.isfinite(nll) and math.isfinite(norm):
            return
        named = ", ".join(map(str, self.rows[:5] + 1)) + (", ..." if len(self.rows) > 5 else "")
        raise UserError(
            f"update {self.number}: the loss is {nll:g} and the gradient's norm {norm:g}, on the "
            f"batch of training {self.unit} {named}; no weight was changed: go on "
            "from the last checkpoint (--resume) with a smaller training.learning_rate"
        )


class LossModule(nn.Module):
    """A network and its training loss as one module."""

    def __init__(self, network: Network, settings: TrainingConfig) -> None:
        super().__init__()
        self.network, self.settings = network, settings

    def forward(
        self, batch: Batch, hidden: HiddenState | None, scale: float
    ) -> tuple[Tensor, Tensor, HiddenState | None]:
        """The loss to minimise, smoothed and times `scale`; the nll [] in nats; and the hidden
        state that the next batch starts from, or None."""
        loss = cross_entropy(
            self.network,
            batch,
            hidden,
            smoothing=self.settings.label_smoothing,
            scale=scale,
            r_drop=self.settings.r_drop,
        )
        return loss.total, loss.nll, loss.hidden


class TrainStep:
    """A network, its optimizer, and the exponential moving average of its weights or None."""

    def __init__(
        self,
        model: Model,
        settings: TrainingConfig,
        device: torch.device,
        dtype: torch.dtype,
        ranks: Ranks | None = None,
    ) -> None:
        """ranks: those that share each batch; None for this process alone."""
        self.settings, self.device, self.dtype = settings, device, dtype
        self.ranks = ranks or Ranks()
        self.codec = model.codec
        self.unit = model.config.task.unit
        self.network = model.network.to(device)
        self.objective = self.ranks.data_parallel(LossModule(self.network, settings))
        # A whole network, since it is what is validated and kept.
        self.ema = copy.deepcopy(self.network) if settings.ema_decay else None
        self.hidden: HiddenState | None = None  # of this rank's rows, after the last batch
        groups = _groups(self.network, settings.weight_decay)
        self.optimizer: torch.optim.Optimizer
        if settings.optimizer == "sgd":
            self.optimizer = torch.optim.SGD(groups, lr=0.0, fused=True)
        else:
            self.optimizer = torch.optim.AdamW(groups, lr=0.0, betas=settings.betas, fused=True)

    @property
    def validated_network(self) -> nn.Module:
        """The weights that validation judges: the average where there is one."""
        return self.network if self.ema is None else self.ema

    def update(self, batches: list[Batch], tokens: int, rate: float, number: int) -> UpdateResult:
        """Do update number `number` with learning rate `rate` from this rank's share of the
        batches; the loss is the mean over the `tokens` target tokens of all ranks' shares together.

        Where loss or gradient is not finite, no weight changes: on a CPU this raises UserError; a
        GPU is not waited for, and `UpdateResult.require_finite` raises it.
        """
        source, target = self.codec.source, self.codec.target
        replacements = (None if self.codec.task.source == "condition" else source.unk, target.unk)
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        nll_sum = torch.zeros((), device=self.device)
        for index, batch in enumerate(batches):
            is_last = index == len(batches) - 1  # with it, the ranks average their gradients
            with nullcontext() if is_last else self.ranks.no_sync(self.objective):
                noisy = apply_word_dropout(
                    batch.to(self.device), self.settings.word_dropout, target.eos, replacements
                )
                hidden = self.hidden if batch.continues else None
                with runtime.autocast(self.device, self.dtype):
                    # DDP averages over ranks, where a sum is needed.
                    total, nll, hidden = self.objective(
                        noisy, hidden, self.ranks.world_size / tokens
                    )
                if hidden is not None:  # detached: the next batch's gradient ends here
                    self.hidden = [tuple(part.detach() for part in layer) for layer in hidden]
                with record_function("backward"):
                    total.backward()
            nll_sum += nll
        with record_function("optimizer"):
            return self._apply(nll_sum, batches, rate, number)

    def _apply(self, nll: Tensor, batches: list[Batch], rate: float, number: int) -> UpdateResult:
        """Clip, check and apply the gradients of all batches of an update."""
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        rows = np.concatenate([batch.examples for batch in batches])
        result = UpdateResult(number, nll, norm, rows, self.unit)
        if self.device.type == "cpu":
            result.require_finite()
        # The fused optimizer divides gradients by `grad_scale` and skips the step at `found_inf`:
        # neither clipping nor checking takes a pass of its own, or has to wait for a GPU.
        limit = self.settings.clip or math.inf
        self.optimizer.grad_scale = (norm.float() / limit).clamp_min(1)  # type: ignore[attr-defined]
        self.optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._update_ema(number)
        return result

    def gather_hidden(self) -> HiddenState | None:
        """The hidden state of all ranks' rows, on the CPU; every rank must call this."""
        if self.hidden is None:
            return None
        return [tuple(map(self.ranks.gather_rows, layer)) for layer in self.hidden]

    def shard_hidden(self, hidden: HiddenState | None) -> None:
        """Start the next batch from this rank's rows of `hidden`, which `gather_hidden` gave."""
        self.hidden = None
        if hidden is not None:
            self.hidden = [
                tuple(self.ranks.shard(part).to(self.device) for part in layer) for layer in hidden
            ]

    def require_finite(self, number: int) -> None:
        """Raises UserError where update `number` left inf or NaN in what is saved."""
        networks = [self.network] if self.ema is None else [self.network, self.ema]
        tensors = [p.detach() for network in networks for p in network.parameters()]
        for state in self.optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise UserError(
                f"update {number} left a weight that is not finite; nothing of it was saved: go on "
                "from the last checkpoint (--resume) with a smaller training.learning_rate"
            )

    @torch.no_grad()
    def _update_ema(self, number: int) -> None:
        """Move the average towards the weights (Polyak and Juditsky 1992), faster early on, when
        past weights are worth little."""
        if self.ema is not None:
            decay = min(self.settings.ema_decay, (1 + number) / (10 + number))
            torch._foreach_lerp_(
                list(self.ema.parameters()), list(self.network.parameters()), 1 - decay
            )


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """The optimizer's parameter groups: weight decay for matrices, none for biases."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
