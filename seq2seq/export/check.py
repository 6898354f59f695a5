"""Compare an export with its PyTorch model, and measure ranges for int8."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from seq2seq.errors import UserError
from seq2seq.export.artifact import Export
from seq2seq.export.label_engine import LabelEngine
from seq2seq.export.onnx_engine import OnnxEngine
from seq2seq.export.ranges import Ranges
from seq2seq.export.reference import reference_log_probabilities
from seq2seq.text.codec import Ids

if TYPE_CHECKING:
    from seq2seq.models.folder import Model

_LARGEST_DIFFERENCE = 1e-3  # nats, fp32
_LARGEST_DIVERGENCE = 0.1  # nats a token, int8
_COUNTED = -15.0  # of less likely tokens, rounding moves the logarithm and nothing else

_LEAST = -200.0  # stands for -inf, which cannot be subtracted


@dataclass(frozen=True)
class Difference:
    """The difference between the predictions of an export and of its model.

    largest: the largest difference of a log-probability in nats. Very unlikely tokens are ignored.
    divergence: the mean Kullback-Leibler divergence per prediction, in nats.
    agreement: the share of predictions with the same most likely token, from 0 to 1.
    tokens: the number of predictions.
    """

    largest: float
    divergence: float
    agreement: float
    tokens: int

    def require_small(self, precision: str) -> None:
        """Raise UserError if the difference is too large for this precision."""
        if precision == "fp32" and not self.largest <= _LARGEST_DIFFERENCE:
            raise UserError(
                f"the exported graphs differ from the model by {self.largest:.2g} nats, more than "
                f"{_LARGEST_DIFFERENCE}: nothing was exported; please report this"
            )
        if precision == "int8" and not self.divergence <= _LARGEST_DIVERGENCE:
            raise UserError(
                f"int8 changes the model's predictions by {self.divergence:.2g} nats a token, more "
                f"than {_LARGEST_DIVERGENCE}: nothing was exported; use --precision fp32"
            )


def measure_ranges(model: Model, sources: Sequence[np.ndarray], targets: Ids) -> Ranges:
    """Measure the largest inputs of int8 products on examples, where no bound is known."""
    ranges = Ranges()
    with ranges.watch(_unbounded(model.network)):
        reference_log_probabilities(model, sources, targets)
    return ranges


def _unbounded(network: Any) -> Iterator[Any]:
    for name, module in network.named_modules():
        normalises = type(module).__name__ == "LayerNorm" and ".norms." in f".{name}"
        recurs = type(module).__name__ == "RecurrentLayer"
        if normalises or recurs or name.endswith(("context.value", "encoder.embedding_dropout")):
            yield module


def compare(
    model: Model, export: Export, sources: Sequence[np.ndarray], targets: Ids
) -> Difference:
    """Compare the predictions of a model and its export for these examples."""
    rows = reference_log_probabilities(model, sources, targets)
    width = max(row.shape[1] for row in rows)  # a model that copies has V + S columns
    expected = np.concatenate([_pad(row, width) for row in rows])
    if model.config.task.has_target_text:
        actual = _force(OnnxEngine([export]).over_whole_vocabulary(), model, sources, targets)
    else:
        actual = np.concatenate(
            LabelEngine(export).log_probabilities([source.tolist() for source in sources])
        )
    expected, actual = (values.clip(min=_LEAST) for values in (expected, actual))
    p = np.exp(expected.astype(np.float64))
    counted = expected > _COUNTED
    return Difference(
        float(np.abs(expected - actual)[counted].max(initial=0.0)),
        float(max(0.0, (p * (expected - actual.astype(np.float64))).sum(axis=1).mean())),
        float((expected.argmax(axis=1) == actual.argmax(axis=1)).mean()),
        len(expected),
    )


def _pad(values: np.ndarray, width: int) -> np.ndarray:
    added = ((0, 0), (0, width - values.shape[1]))
    return np.pad(values, added, constant_values=_LEAST)


def _force(
    engine: OnnxEngine, model: Model, sources: Sequence[np.ndarray], targets: Ids
) -> np.ndarray:
    """Return the log-probabilities of an export under teacher forcing, [predictions, V]."""
    state = engine.start(sources)
    bos, longest = model.codec.target.bos, max(map(len, targets))
    inputs = np.full((len(targets), longest + 1), bos, np.int64)
    for row, target in enumerate(targets):
        inputs[row, 1 : len(target) + 1] = target
    steps = []
    for tokens in inputs.T:
        log_p, state = engine.step(state, np.ascontiguousarray(tokens))
        steps.append(log_p.all())
    whole = np.stack(steps, axis=1)  # [examples, T + 1, V]
    return np.concatenate([whole[row, : len(ids) + 1] for row, ids in enumerate(targets)])
