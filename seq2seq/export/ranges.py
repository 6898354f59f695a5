"""The ranges of the inputs of int8 products, known or measured.

The state of a tanh cell and the output of tanh never exceed 1. The outputs of layer normalisation
and of ReLU cells have no bound, so their largest values are measured on some texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_MARGIN = 1.05  # texts that were not measured may reach a little further


class Ranges:
    """The largest absolute output of each module. `watch` measures outputs without known bounds."""

    def __init__(self) -> None:
        self._largest: dict[int, float] = {}

    def __getitem__(self, module: Any) -> float:
        """Return the largest expected absolute output of a module, or 1 if it was not measured."""
        return max(self._largest.get(id(module), 1.0) * _MARGIN, 1e-3)

    def of_layer(self, layer: Any) -> float:
        """Return the bound of the state |h| of a `RecurrentLayer`."""
        return self[layer] if layer.run.mode == "RNN_RELU" else 1.0

    def of_stack(self, stack: Any) -> list[float]:
        """Return the bound of the output of each layer of a `RecurrentStack`."""
        bounds: list[float] = []
        for number in range(len(stack.forwards)):
            layers = [part[number] for part in (stack.forwards, stack.backwards) if len(part)]
            bound = max(map(self.of_layer, layers)) + (bounds[-1] if bounds else 0.0)
            bounds.append(self[stack.norms[number]] if len(stack.norms) else bound)
        return bounds

    @contextmanager
    def watch(self, modules: Iterator[Any]) -> Iterator[None]:
        """Record the largest absolute output of each module while the block runs."""
        handles = [module.register_forward_hook(self._hook(id(module))) for module in modules]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hook(self, key: int) -> Callable[..., None]:
        def note(module: Any, inputs: Any, output: Any) -> None:
            values = output[0] if isinstance(output, tuple) else output
            largest = float(np.abs(values.detach().float().numpy()).max(initial=0.0))
            self._largest[key] = max(self._largest.get(key, 0.0), largest)

        return note
