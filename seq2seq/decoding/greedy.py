"""Greedy search: the most probable token at every step."""

from __future__ import annotations

from torch import Tensor

from seq2seq.decoding.stepping import (
    AnyState,
    Hypothesis,
    Limits,
    Model,
    Specials,
    follow,
    highest,
)


def greedy_search(
    model: Model[AnyState], state: AnyState, limits: Limits, specials: Specials, alpha: float
) -> list[list[Hypothesis]]:
    """y_t = argmax p(y | y_<t), the lowest id of equals.

    state: B rows, one per source sentence. Gives B lists of one hypothesis each; alpha only
    enters its score. Errors: those of `stepping.follow`.
    """
    return follow(model, state, limits, specials, alpha, _most_probable)


def _most_probable(log_p: Tensor, rows: Tensor) -> Tensor:
    return highest(log_p, 1)[1].squeeze(1)  # [N]
