"""One update: gradients of a group of batches, clipped, checked, applied, averaged."""

from __future__ import annotations

import copy
import math
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
    """nll: summed over this rank's target tokens, nats, no smoothing; norm: of the gradient of all
    ranks, unclipped; both scalars on the device, which need not have made them yet."""

    number: int
    nll: Tensor
    norm: Tensor
    rows: np.ndarray  # what was learned from, numbered from 0
    unit: str = "pairs"  # what is numbered: a text is counted in tokens

    def require_finite(self) -> None:
        """Raises UserError where loss or gradient is inf or NaN: no weight has changed then."""
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
    """A network and what is wanted of it, as one module."""

    def __init__(self, network: Network, settings: TrainingConfig) -> None:
        super().__init__()
        self.network, self.settings = network, settings

    def forward(
        self, batch: Batch, hidden: HiddenState | None, scale: float
    ) -> tuple[Tensor, Tensor, HiddenState | None]:
        """The total, smoothed and times `scale`, the nll, and what is carried on."""
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
    """A network, its optimiser, and the exponential average of its weights if one is wanted."""

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
        # A network of its own: it is what is validated and kept.
        self.ema = copy.deepcopy(self.network) if settings.ema_decay else None
        self.hidden: HiddenState | None = None  # what the last batch has left
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
        """Update number `number` with learning rate `rate` from this rank's share of the batches;
        the loss is the mean over the `tokens` target tokens of all ranks' shares together.

        Where loss or gradient is not finite, no weight changes: on a CPU this raises UserError, on
        a GPU, which is not waited for, `UpdateResult.require_finite` does when it is asked.
        """
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        nll = torch.zeros((), device=self.device)
        for batch in batches[:-1]:
            with self.ranks.no_sync(self.objective):
                nll += self._backward(batch, tokens)
        nll += self._backward(batches[-1], tokens)
        with record_function("optimizer"):
            return self._apply(nll, batches, rate, number)

    def _apply(self, nll: Tensor, batches: list[Batch], rate: float, number: int) -> UpdateResult:
        """Clip the gradients that were added up, check and apply them."""
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        rows = np.concatenate([batch.examples for batch in batches])
        made = UpdateResult(number, nll, norm, rows, self.unit)
        if self.device.type == "cpu":
            made.require_finite()
        # The fused optimiser divides the gradient by the one, and does nothing for the other:
        # neither clipping nor checking takes a pass of its own, or has to wait for a GPU.
        limit = self.settings.clip or math.inf
        self.optimizer.grad_scale = (norm.float() / limit).clamp_min(1)  # type: ignore[attr-defined]
        self.optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._update_ema(number)
        return made

    def broadcast(self) -> None:
        """Have all ranks go on from what the first one has."""
        parts: list[Any] = [self.network, self.optimizer]
        if self.ema is not None:
            parts.append(self.ema)
        # On the CPU, where what is sent would be pickled with the first rank's device.
        states = self.ranks.broadcast([copy_to_cpu(part.state_dict()) for part in parts])
        if not self.ranks.is_first:
            for part, state in zip(parts, states, strict=True):
                part.load_state_dict(state)

    def require_finite(self, number: int) -> None:
        """Raises UserError where update `number` left what must not be saved: inf or NaN."""
        networks = [self.network] if self.ema is None else [self.network, self.ema]
        tensors = [p.detach() for network in networks for p in network.parameters()]
        for state in self.optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise UserError(
                f"update {number} left a weight that is not finite; nothing of it was saved: go on "
                "from the last checkpoint (--resume) with a smaller training.learning_rate"
            )

    def _backward(self, batch: Batch, tokens: int) -> Tensor:
        """Add up the gradient of one batch's part of the loss; gives the batch's nll."""
        source, target = self.codec.source, self.codec.target
        noisy = apply_word_dropout(
            batch.to(self.device),
            self.settings.word_dropout,
            target.eos,
            (None if self.codec.task.source == "condition" else source.unk, target.unk),
        )
        before = self.hidden if batch.continues else None
        with runtime.autocast(self.device, self.dtype):
            # Ranks are averaged over, where a sum is wanted.
            total, nll, after = self.objective(noisy, before, self.ranks.world_size / tokens)
        if after is not None:  # what comes is not learned through what was
            self.hidden = [tuple(part.detach() for part in layer) for layer in after]
        with record_function("backward"):
            total.backward()
        made: Tensor = nll
        return made

    @torch.no_grad()
    def _update_ema(self, number: int) -> None:
        """Move the average towards the weights (Polyak and Juditsky 1992); it keeps less of the
        past early on, when the past is worth little."""
        if self.ema is not None:
            decay = min(self.settings.ema_decay, (1 + number) / (10 + number))
            torch._foreach_lerp_(
                list(self.ema.parameters()), list(self.network.parameters()), 1 - decay
            )


def copy_to_cpu(value: Any) -> Any:
    """A state, with copies on the CPU of what is elsewhere."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {key: copy_to_cpu(one) for key, one in value.items()}
    return [copy_to_cpu(one) for one in value] if isinstance(value, list) else value


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for biases."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]
