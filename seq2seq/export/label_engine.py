"""Runs an exported classifier or tagger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq.export.artifact import Export
from seq2seq.export.sessions import Session
from seq2seq.export.token_tables import TokenTables


class LabelEngine:
    """A classifier or a tagger in ONNX Runtime. Texts of one length and one number of words run
    together, so that no text depends on the others."""

    def __init__(self, export: Export) -> None:
        """Raises UserError as `Session` does."""
        self._label = Session(export.graph("label"))
        self._tables = TokenTables(Session(export.graph("prepare")), self._label, export.table_size)
        self._words, self._eos = export.config.task.labels_each_word, export.codec.source.eos

    def log_probabilities(self, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return log-probabilities float32: [1, labels] for each text of a classifier, or [W,
        labels] of a tagger. texts: the ids of each text, from the codec."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, ids in enumerate(texts):
            groups[len(ids), list(ids).count(self._eos) if self._words else 1].append(number)
        results: list[np.ndarray] = [np.zeros(0)] * len(texts)
        for numbers in groups.values():
            rows = self._run(np.array([texts[number] for number in numbers], np.int64))
            for number, row in zip(numbers, rows, strict=True):
                results[number] = row if self._words else row[None]
        return results

    def _run(self, tokens: np.ndarray) -> np.ndarray:
        """Label texts of one length. tokens: [B, S]. Returns [B, labels] or [B, W, labels]."""
        feeds: dict[str, Any] = {}
        if self._words:
            ends = np.nonzero(tokens == self._eos)[1].reshape(len(tokens), -1)  # [B, W]
            starts = np.concatenate([np.zeros_like(ends[:, :1]), ends[:, :-1] + 1], axis=1)
            feeds.update(tokens=tokens, starts=starts, ends=ends)
        else:
            end = np.full((len(tokens), 1), self._eos, np.int64)
            feeds["tokens"] = np.concatenate([tokens, end], axis=1)
        self._tables.require(feeds["tokens"])
        return self._label.run({**feeds, **self._tables.arrays})[0]
