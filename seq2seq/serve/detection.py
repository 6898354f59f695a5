"""Detect the language of a text, with a small model that runs offline (py3langid)."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

_READ = 2000  # characters of a text that are looked at


class LanguageDetector:
    """Finds the most likely of the given languages. It loads its model at the first use."""

    def __init__(self) -> None:
        self._identifier: Any = None
        self._columns: dict[str, int] = {}
        self._loading = threading.Lock()

    def load(self) -> None:
        """Load the model, which takes half a second. Any thread may call this method."""
        with self._loading:
            if self._identifier is None:
                from py3langid.langid import MODEL_FILE, LanguageIdentifier

                identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
                self._columns = {name: i for i, name in enumerate(identifier.labels)}
                self._identifier = identifier

    def rank(self, text: str, codes: Sequence[str]) -> list[tuple[str, float]]:
        """Return the codes with their confidences, the most likely one first.

        codes: language codes. A region or script is ignored ("pt-BR" counts as "pt").

        The confidences are between 0 and 1, and sum to 1. A language that the model does not know
        has the confidence 0.
        """
        self.load()
        known = {code: self._columns.get(_base(code)) for code in codes}
        likely = dict(self._identifier.rank(text[:_READ]))
        values = np.array([likely.get(_base(code), 0.0) for code in codes])
        values = np.where([known[code] is not None for code in codes], values, 0.0)
        total = values.sum()
        shares = values / total if total > 0 else np.zeros(len(codes))
        pairs = zip(codes, map(float, shares), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


def _base(code: str) -> str:
    return code.replace("_", "-").partition("-")[0].lower()
