"""The base class of the networks of all tasks."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor, nn

from seq2seq.nn.recurrent import LayerState
from seq2seq.text.batching import Batch

# The recurrent state of each layer at the end of a text, from which the following text continues.
HiddenState = list[LayerState]


class Network(nn.Module):
    """A network that computes each prediction from a readout r: logits = O r + o."""

    def ready(self, device: torch.device) -> Self:
        """Move the network to a device, switch it to evaluation mode, and return it.

        A network that is ready already is not changed, because other threads may be using it.
        """
        if next(self.parameters()).device != device:
            self.to(device)
        return self.eval() if self.training else self

    @property
    @abstractmethod
    def output(self) -> nn.Linear:
        """The output layer, which maps a readout [..., E] to logits [..., V]."""

    @abstractmethod
    def readouts(
        self, batch: Batch, hidden: HiddenState | None
    ) -> tuple[Tensor, HiddenState | None]:
        """Run the network over a batch with teacher forcing.

        Args:
            batch: The batch.
            hidden: The state at the end of the previous batch, or None at the beginning of a text.

        Returns:
            The readouts r [..., E], one for each element of `batch.outputs`. The state at the end
            of the batch, from which the next batch continues, or None if the network carries none.
        """
