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
    """The base class of all networks. A network computes a readout r for each prediction.

    The output layer `output` computes the logits O r + o from the readout. If `is_mixture` is true
    (copying, monotonic attention, transducers), the predictions are not a softmax of these logits.
    They come from `log_probabilities` instead.
    """

    def ready(self, device: torch.device) -> Self:
        """Move the network to a device, switch it to evaluation mode, and return it.

        If the device and the mode are right already, nothing is changed, because other threads may
        be using the network.
        """
        if next(self.parameters()).device != device:
            self.to(device)
        return self.eval() if self.training else self

    @property
    def is_mixture(self) -> bool:
        """Whether the predictions are not a softmax of logits."""
        return False

    def log_probabilities(self, batch: Batch) -> Tensor:
        """Return log-probabilities under teacher forcing, [B, T, V], if `is_mixture` is true."""
        raise NotImplementedError

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

        Returns a tuple:
        - the readouts, [..., E], one for each element of `batch.outputs`
        - the state at the end of the batch, from which the next batch continues, or None if the
          network keeps no state between batches
        """
