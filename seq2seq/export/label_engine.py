"""Runs an exported classifier or tagger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from seq2seq.errors import UserError
from seq2seq.export.artifact import Export
from seq2seq.export.sessions import Session
from seq2seq.export.token_tables import TokenTables


class LabelEngine:
    """A classifier or a tagger in ONNX Runtime.

    Texts run in one batch only if they have the same length and the same number of words. The
    result of a text therefore does not depend on other texts.
    """

    def __init__(self, export: Export) -> None:
        """Open the graph `label`. Raises UserError as `Session` does."""
        self._label = Session(export.graph("label"))
        self._tables = TokenTables(Session(export.graph("prepare")), self._label, export.table_size)
        self._words, self._eos = export.config.task.labels_each_word, export.codec.source.eos
        labels = len(export.codec.require_labels())
        (result,) = self.log_probabilities([[0, self._eos] if self._words else [0]])
        if result.shape != (1, labels) or not np.isfinite(result).all():
            raise UserError(
                f"{export.folder}: the ONNX graphs do not fit the {labels} labels of the model; "
                "export the model again"
            )

    def log_probabilities(self, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
        """Return the log-probabilities of the labels for each text, float32.

        The array of a text is [1, labels] for a classifier and [W, labels] for a tagger, where W is
        the number of words.

        texts: the token ids of each text, from the codec.
        """
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
        """Return the log-probabilities for texts of one length, [B, labels] or [B, W, labels].

        tokens: [B, S].
        """
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
