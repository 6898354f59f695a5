"""Greedy search: y_t = argmax p(y | y_<t), the lowest id of equals."""

from __future__ import annotations

from functools import partial

import numpy as np

from seq2seq.decoding.engine import LogProbabilities
from seq2seq.decoding.stepping import follow


def most_likely(log_p: LogProbabilities, rows: np.ndarray) -> np.ndarray:
    """The most likely token of each row, [N] int64."""
    return log_p.top(1)[1][:, 0]


greedy_search = partial(follow, choose=most_likely)
"""`stepping.follow` with that choice: (engine, state, limits, specials, alpha) → B lists of one
hypothesis each; alpha only enters its score."""
