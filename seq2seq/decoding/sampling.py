"""Sampling from the model, each sentence with random numbers of its own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seq2seq.decoding.stepping import (
    AnyState,
    Choose,
    Hypothesis,
    Limits,
    Model,
    Specials,
    accumulator,
    follow,
    highest,
)


def sample_search(
    model: Model[AnyState],
    state: AnyState,
    limits: Limits,
    specials: Specials,
    *,
    temperature: float,
    top_k: int,
    top_p: float,
    generators: list[torch.Generator],
    alpha: float,
) -> list[list[Hypothesis]]:
    """Draw y_t from p(y | y_<t)^(1/temperature), cut to the likeliest tokens and renormalised.

    state: B rows, one per source sentence. top_k: how many tokens are kept (Fan et al. 2018), 0
    for all. top_p: of those, the smallest set whose mass reaches it (Holtzman et al. 2020), 1.0
    for all; with top_k off it sorts all V, which takes longer than a small model's step.
    generators: one per sentence, B, best on the CPU. A sentence draws one number per token from
    its own, so its sample does not depend on the batch.

    Gives B lists of one hypothesis each; its log-probability is the model's own, not the tempered
    one. Errors: ValueError for a setting out of range, and those of `stepping.follow`.
    """
    if len(generators) != len(limits.maximum):
        raise ValueError(f"{len(generators)} generators for {len(limits.maximum)} sentences")
    choose = make_sampler(temperature, top_k, top_p, generators)
    return follow(model, state, limits, specials, alpha, choose)


def make_sampler(
    temperature: float, top_k: int, top_p: float, generators: list[torch.Generator]
) -> Choose:
    """Draws one token a row as `sample_search` does. ValueError for a setting out of range."""
    if wrong := sampling_problems(temperature, top_k, top_p):
        raise ValueError("; ".join(wrong))

    def choose(log_p: Tensor, rows: Tensor) -> Tensor:
        kept, ids = _candidates(log_p, top_k, top_p)  # [N, C], C of V candidates
        weights = _tempered(kept, temperature)  # [N, C]
        if top_p < 1:
            mass = weights.cumsum(dim=1)  # [N, C] of each token and the likelier ones
            weights[:, 1:].masked_fill_(mass[:, :-1] >= top_p * mass[:, -1:], 0)
        if ids is not None:
            # By token: which of two that tie is the likelier depends on the batch.
            ids, order = ids.sort(dim=1)
            weights = weights.gather(1, order)
        at = _invert(weights, _uniform(generators, rows))  # [N]
        return at if ids is None else ids.gather(1, at.unsqueeze(1)).squeeze(1)

    return choose


def sampling_problems(temperature: float, top_k: int, top_p: float) -> list[str]:
    """What is wrong with the settings of a draw, a sentence each."""
    wrong = []
    if not 0 < temperature < math.inf:
        wrong.append(f"the temperature is {temperature}: it must be finite and above 0")
    if top_k < 0:
        wrong.append(f"top-k is {top_k}: it must be at least 0 (0 keeps all)")
    if not 0 < top_p <= 1:
        wrong.append(f"top-p is {top_p}: it must be above 0 and at most 1 (1 keeps all)")
    return wrong


def _candidates(log_p: Tensor, top_k: int, top_p: float) -> tuple[Tensor, Tensor | None]:
    """[N, V] → the candidates [N, C], and their ids, or None where candidate i is token i.

    Likeliest first where top_p needs that.
    """
    if 0 < top_k < log_p.shape[1]:
        return highest(log_p, top_k)
    if top_p < 1:
        values, ids = log_p.sort(dim=1, descending=True, stable=True)
        return values, ids
    return log_p, None


def _tempered(log_p: Tensor, temperature: float) -> Tensor:
    """p^(1/temperature) of log_p [N, C], the largest scaled to 1 so that none can overflow."""
    largest = log_p.amax(dim=1, keepdim=True).to(accumulator(log_p.device))
    return (log_p - largest).div_(temperature).exp_()


def _uniform(generators: list[torch.Generator], rows: Tensor) -> Tensor:
    """A number from [0, 1) for each of rows [N], from its own generator."""
    drawn = [
        torch.rand((), generator=g, device=g.device, dtype=accumulator(g.device))
        for g in (generators[row] for row in rows.tolist())
    ]
    return torch.stack(drawn).to(rows.device, accumulator(rows.device))


def _invert(weights: Tensor, uniform: Tensor) -> Tensor:
    """The index that falls to uniform [N] in the distribution weights [N, C], which need not sum
    to 1: the first whose cumulated weight exceeds uniform · total. One of weight 0 never does."""
    cumulated = weights.cumsum(dim=1)  # [N, C]
    total = cumulated[:, -1:]  # [N, 1]
    below = torch.nextafter(total, torch.zeros_like(total))  # rounding up must not reach the total
    threshold = torch.minimum(uniform.unsqueeze(1) * total, below)
    at = torch.searchsorted(cumulated, threshold, right=True).squeeze(1)  # [N]
    return at.clamp(max=weights.shape[1] - 1)  # past the end where there are NaNs: `follow` refuses
