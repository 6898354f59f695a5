"""Several models that search as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.models.translation import TranslationNetwork
from seq2seq.nn.decoder import DecoderState


@dataclass(frozen=True)
class States:
    """One state a member."""

    members: list[DecoderState]

    def select(self, rows: Tensor) -> States:
        """rows [N'] int64 → these rows of each member's state, in that order."""
        return States([state.select(rows) for state in self.members])


class Ensemble:
    """Networks with one vocabulary; probabilities are averaged at every step."""

    def __init__(self, networks: Sequence[TranslationNetwork]) -> None:
        self.networks = list(networks)

    def start(self, source: Tensor, lengths: Tensor) -> States:
        """source [B, S] int64, lengths [B] int64 → the state of a search, one row a source."""
        return States([network.start(source, lengths) for network in self.networks])

    def weights(self, source: Tensor, lengths: Tensor, target: Tensor) -> Tensor:
        """source [B, S], lengths [B], target [B, T] (BOS first), int64 → the mean of the members'
        attention [B, T, S] float32. ValueError where a member has none."""
        found = [network.weights(source, lengths, target) for network in self.networks]
        present = [weights for weights in found if weights is not None]
        if len(present) < len(found):
            raise ValueError("a fixed context has no weights")
        return torch.stack(present).mean(dim=0)

    def step(self, state: States, tokens: Tensor) -> tuple[Tensor, States]:
        """tokens [N] int64 → log of the mean probabilities [N, V], and the next state."""
        stepped = [
            network.step(member, tokens)
            for network, member in zip(self.networks, state.members, strict=True)
        ]
        following = States([member for _, member in stepped])
        if len(stepped) == 1:
            return stepped[0][0], following
        together = torch.stack([log_probabilities for log_probabilities, _ in stepped])  # [M, N, V]
        return together.logsumexp(dim=0) - math.log(len(stepped)), following
