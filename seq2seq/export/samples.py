"""Texts that are used to measure ranges and to compare an export with its model.

The texts are validation examples of the model if they can be read, and random tokens otherwise.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING

import numpy as np

from seq2seq.errors import UserError
from seq2seq.text.codec import Ids
from seq2seq.text.corpus import read_examples
from seq2seq.text.features import encoded_sources, join_columns

if TYPE_CHECKING:
    from seq2seq.models.folder import Model

_log = logging.getLogger(__name__)

_COUNT = 64
_LONGEST = 100
_SEED = 20261129


def sample_ids(model: Model) -> tuple[list[np.ndarray], Ids]:
    """Return up to 64 encoded sources, and the token ids of their targets, without special tokens.

    A classifier or a tagger has no targets.
    """
    try:
        examples = list(
            itertools.islice(
                read_examples(model.config.data, "valid", features=model.config.features), _COUNT
            )
        )
        ids = model.codec.encode(examples)
    except UserError as error:
        _log.info(
            "the validation examples cannot be read, so the export is checked on random tokens: %s",
            error,
        )
        return _random_ids(model)
    sources, targets = encoded_sources(ids), ids["target"]
    kept = [
        number
        for number, (source, target) in enumerate(zip(sources, targets, strict=True))
        if (len(source) or not model.config.task.has_source) and target
    ]
    pairs = [(sources[i][:_LONGEST], targets[i][:_LONGEST]) for i in kept]
    return ([s for s, _ in pairs], [t for _, t in pairs]) if pairs else _random_ids(model)


def _random_ids(model: Model) -> tuple[list[np.ndarray], Ids]:
    sources, targets = _random_tokens(model)
    encoded, features = [np.asarray(ids, np.int64) for ids in sources], model.codec.features
    if features is None:
        return encoded, targets
    random = np.random.default_rng(_SEED)

    def with_features(ids: np.ndarray) -> np.ndarray:
        numbers = random.integers(0, len(features), size=(len(ids), 3))
        if features.per_word:
            return join_columns(ids, numbers + 1)
        return np.concatenate([np.unique(numbers[0]) + len(model.codec.source), ids])

    return list(map(with_features, encoded)), targets


def _random_tokens(model: Model) -> tuple[Ids, Ids]:
    random, task, codec = np.random.default_rng(_SEED), model.config.task, model.codec
    lengths = random.integers(1, 20, size=(_COUNT, 2))

    def draw(length: int, vocabulary: int) -> list[int]:
        return [int(i) for i in random.integers(4, max(5, vocabulary), size=length)]

    targets = [draw(length, len(codec.target)) for length in lengths[:, 1]]
    if task.source == "condition":
        limit = len(codec.require_labels())
        if model.config.encoder.kind == "vector":
            unit = random.integers(0, 1_000_000, size=(_COUNT, limit))
            return [row.tolist() for row in unit], targets
        return [[int(i)] for i in random.integers(0, limit, size=_COUNT)], targets
    sources = [draw(length, len(codec.source)) for length in lengths[:, 0]]
    if task.labels_each_word:  # the end of a word stands behind each
        sources = [[i for piece in row for i in (piece, codec.source.eos)] for row in sources]
    return sources if task.has_source else [[] for _ in targets], targets
