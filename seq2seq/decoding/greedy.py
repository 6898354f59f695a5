"""Greedy search: the most likely token at every step."""

from __future__ import annotations

import numpy as np

from seq2seq.decoding.engine import Engine, LogProbabilities, State
from seq2seq.decoding.stepping import Hypothesis, Limits, Specials, follow


def greedy_search(
    engine: Engine[State], state: State, limits: Limits, specials: Specials, alpha: float
) -> list[list[Hypothesis]]:
    """y_t = argmax p(y | y_<t), the lowest id of equals.

    state: B rows, one per source sentence. Returns B lists of one hypothesis each; alpha only
    enters its score. Raises the errors of `stepping.follow`.
    """
    return follow(engine, state, limits, specials, alpha, _most_likely)


def _most_likely(log_p: LogProbabilities, rows: np.ndarray) -> np.ndarray:
    return log_p.top(1)[1][:, 0]  # [N]
