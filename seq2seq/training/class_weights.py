"""Class weights: factors of the loss that make up for labels of unequal frequency."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from seq2seq.errors import UserError
from seq2seq.text.labels import LabelSet
from seq2seq.text.preparation import PreparedData

_log = logging.getLogger(__name__)

_SHOWN = 10  # labels to name in the log


def class_weights(setting: str | Mapping[str, float] | None, data: PreparedData) -> Tensor | None:
    """Return the weight of each label, [labels] float32; None if all labels weigh the same.

    setting: the value of `training.class_weights`. It is a table or "balanced".

    A table gives the weights of some labels. All other labels have the weight 1. "balanced" gives a
    label that occurs c times in N training examples (or words) the weight N / (labels · c). The
    mean weight of an example is then 1, and all labels have the same total weight (King and Zeng
    2001).

    Raise UserError if the table names a label that the training data does not contain.
    """
    labels = data.codec.labels
    if setting is None or not isinstance(labels, LabelSet):
        return None
    if isinstance(setting, str):
        weights = _balanced(data, len(labels))
    else:
        weights = np.ones(len(labels))
        for name, weight in setting.items():
            try:
                weights[labels.index(name)] = weight
            except UserError as error:
                raise UserError(f"training.class_weights: {error}") from None
    shown = [f"{name} {w:.3g}" for name, w in zip(labels.names, weights, strict=True)]
    more = ", ..." if len(shown) > _SHOWN else ""
    _log.info("class weights: %s%s", ", ".join(shown[:_SHOWN]), more)
    return torch.from_numpy(weights).float()


def _balanced(data: PreparedData, labels: int) -> np.ndarray:
    """Return the weights of the setting "balanced". A label without examples gets the weight 1."""
    counts = np.zeros(labels, np.int64)
    for offsets, values in data.train.columns("target"):
        counts += np.bincount(values[offsets[0] : offsets[-1]], minlength=labels)
    present = counts > 0
    balanced = counts.sum() / (present.sum() * np.maximum(counts, 1))
    return np.where(present, balanced, 1.0)
