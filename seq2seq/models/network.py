"""What training asks of a network, whatever its task."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor, nn

from seq2seq.nn.recurrent import LayerState
from seq2seq.text.batching import Batch

# The recurrent state that a text leaves behind for what follows it, a layer each.
HiddenState = list[LayerState]


class Network(nn.Module):
    """A network whose every prediction is an output layer over a readout r: logits = O r + o."""

    def ready(self, device: torch.device) -> Self:
        """The network on a device and in evaluation mode. One that is so already is not touched:
        other threads may be using it."""
        if next(self.parameters()).device != device:
            self.to(device)
        return self.eval() if self.training else self

    @property
    @abstractmethod
    def output(self) -> nn.Linear:
        """The output layer, E → V."""

    @abstractmethod
    def readouts(
        self, batch: Batch, hidden: HiddenState | None
    ) -> tuple[Tensor, HiddenState | None]:
        """Teacher forcing: r [..., E], as many in all as `batch.outputs` has places, and what is
        carried to a batch that goes on where this one ends; None where nothing is.

        hidden: what the batch before has left, None at a beginning.
        """
