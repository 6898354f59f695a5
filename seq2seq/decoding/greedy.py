"""Greedy search, which chooses the most likely token at each step: y_t = argmax p(y | y_<t).

If several tokens are equally likely, the lowest token id is chosen.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from seq2seq.decoding.engine import LogProbabilities
from seq2seq.decoding.stepping import follow


def most_likely(log_p: LogProbabilities, rows: np.ndarray) -> np.ndarray:
    """Return the most likely token of each row, [N] int64. The argument `rows` is ignored."""
    return log_p.top(1)[1][:, 0]


greedy_search = partial(follow, choose=most_likely)
"""Call `stepping.follow` with the most likely token as the choice in each step.

Takes (engine, state, limits, specials, alpha) and returns B lists of one hypothesis each. The
length penalty `alpha` changes the score of a hypothesis, but not the hypothesis.
"""
