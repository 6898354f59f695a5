"""One update: gradients of a group of batches, clipped, checked, applied, averaged."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from seq2seq import runtime
from seq2seq.config import TrainingConfig
from seq2seq.errors import UserError
from seq2seq.models.folder import Model
from seq2seq.text.batching import Batch
from seq2seq.training.objective import cross_entropy, with_word_dropout


@dataclass(frozen=True)
class Update:
    """nll: summed over the target tokens, nats, no smoothing; norm: of the gradient, unclipped."""

    nll: float
    norm: float
    tokens: int


class Learner:
    """A network, its optimiser, and the exponential average of its weights if one is wanted."""

    def __init__(
        self, model: Model, settings: TrainingConfig, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.settings, self.device, self.dtype = settings, device, dtype
        self.tokenizers = model.tokenizers
        self.network = model.network.to(device)
        # A network of its own: it is what is validated and kept.
        self.averaged = copy.deepcopy(self.network) if settings.average_decay else None
        self.optimizer = torch.optim.AdamW(
            _groups(self.network, settings.weight_decay),
            lr=0.0,
            betas=settings.betas,
            fused=True,
        )

    @property
    def judged(self) -> nn.Module:
        """The weights that validation judges: the average where there is one."""
        return self.network if self.averaged is None else self.averaged

    def update(self, batches: list[Batch], rate: float, number: int) -> Update:
        """Update number `number` with learning rate `rate`; the loss is the mean over the target
        tokens of all batches together.

        Raises UserError, before any weight has changed, where loss or gradient is not finite.
        """
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        tokens = sum(len(batch.real) for batch in batches)
        nll = sum(self._backward(batch, tokens) for batch in batches)
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        told = float(norm)
        if not (math.isfinite(nll) and math.isfinite(told)):
            raise UserError(_not_finite(number, nll, told, batches))
        # The fused optimiser divides the gradient by this: clipping takes no pass of its own.
        limit = self.settings.clip or math.inf
        self.optimizer.grad_scale = (norm.float() / limit).clamp_min(1)  # type: ignore[attr-defined]
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self._follow(number)
        return Update(nll, told, tokens)

    def require_finite(self, number: int) -> None:
        """Raises UserError where update `number` left what must not be saved: inf or NaN."""
        networks = [self.network] if self.averaged is None else [self.network, self.averaged]
        tensors = [p.detach() for network in networks for p in network.parameters()]
        for state in self.optimizer.state.values():
            tensors += [value for value in state.values() if isinstance(value, torch.Tensor)]
        if not all(bool(tensor.isfinite().all()) for tensor in tensors):
            raise UserError(
                f"update {number} left a weight that is not finite; nothing of it was saved: go on "
                "from the last checkpoint (--resume) with a smaller training.learning_rate"
            )

    def _backward(self, batch: Batch, tokens: int) -> float:
        """Add up the gradient of one batch's part of the loss; gives the batch's nll."""
        source, target = self.tokenizers.source, self.tokenizers.target
        batch = batch.to(self.device)
        noisy = with_word_dropout(
            batch, self.settings.word_dropout, target.eos, (source.unk, target.unk)
        )
        with runtime.autocast(self.device, self.dtype):
            loss = cross_entropy(
                self.network,
                noisy,
                smoothing=self.settings.label_smoothing,
                scale=1 / tokens,
            )
        loss.total.backward()  # type: ignore[no-untyped-call]
        return float(loss.nll)

    @torch.no_grad()
    def _follow(self, number: int) -> None:
        """Move the average towards the weights (Polyak and Juditsky 1992); it keeps less of the
        past early on, when the past is worth little."""
        if self.averaged is not None:
            decay = min(self.settings.average_decay, (1 + number) / (10 + number))
            torch._foreach_lerp_(
                list(self.averaged.parameters()), list(self.network.parameters()), 1 - decay
            )


def _groups(network: nn.Module, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices, none for biases."""
    matrices = [p for p in network.parameters() if p.dim() > 1]
    others = [p for p in network.parameters() if p.dim() <= 1]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _not_finite(number: int, nll: float, norm: float, batches: list[Batch]) -> str:
    rows = np.concatenate([batch.rows for batch in batches]) + 1
    named = ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
    return (
        f"update {number}: the loss is {nll:g} and the gradient's norm {norm:g}, on the batch of "
        f"training pairs {named}; no weight was changed: go on from the last checkpoint "
        "(--resume) with a smaller training.learning_rate"
    )
