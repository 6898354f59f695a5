"""Beam search that stops exactly when nothing alive can still win.

Each step, every live hypothesis ended by EOS is offered to its sentence's pool of the n_best, and
the `beam` best continuations by other tokens stay alive. EOS takes no place among them, so that
beam >= V^(T-1) is exhaustive. A sentence leaves the batch when its pool is full and no live
hypothesis can beat the worst in it (log-probabilities are <= 0, so none will score above its
sum / maximum^alpha), or at its maximum; there, where none has finished, the live ones count,
unfinished.

Of equals, what was pooled earlier comes first, then the child of the better parent, then the lower
token. Only which of equals is the last of a parent's `beam` continuations follows `torch.topk`
(see `search.highest`): a stable sort of [N, V] would cost more than the model. On a CPU,
none of it depends on the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seq2seq.decoding.stepping import (
    AnyState,
    Hypothesis,
    Limits,
    Model,
    Specials,
    highest,
    penalties,
    require_finite,
)


@torch.no_grad()
def beam_search(
    model: Model[AnyState],
    state: AnyState,
    limits: Limits,
    specials: Specials,
    *,
    beam: int,
    alpha: float,
    n_best: int,
) -> list[list[Hypothesis]]:
    """The hypotheses with the highest Σ log p / length^alpha, EOS counted in both.

    state: B rows, one per source sentence. Gives, in the order of the input, B lists of at least 1
    and at most n_best hypotheses, best first: finished ones, or where there are none, unfinished.
    Errors: ValueError for beam or n_best below 1 or alpha below 0; ArithmeticError where the model
    gave no permitted token a finite log-probability.
    """
    if beam < 1 or n_best < 1:
        raise ValueError(f"beam is {beam} and n_best {n_best}, both must be at least 1")
    maximum = limits.maximum
    B, device = len(maximum), maximum.device
    penalty = penalties(int(maximum.max()) if B else 0, alpha, device)  # [T + 1]
    pool = _Pool.empty(B, n_best, penalty)
    masked = torch.tensor([*specials.forbidden, specials.eos], device=device)
    cuts = set(maximum.tolist())
    steps: list[_Step] = []
    rows = torch.arange(B, device=device)  # [n], n = B at first: the sentences still searched
    totals = penalty.new_zeros(B, 1)  # [n, K], K = 1 at first: Σ log p of the live, -inf where none
    tokens = torch.full_like(rows, specials.bos)  # [n*K]
    for length in range(1, len(penalty)):
        log_p, state = model.step(state, tokens)  # [n*K, V]
        if length > limits.minimum:
            ended = totals + log_p[:, specials.eos].view_as(totals).to(totals.dtype)
            pool.add(rows, ended, penalty[length], length - 1)
        log_p.index_fill_(1, masked, -math.inf)
        totals, parents, chosen = _extend(log_p, totals, beam)  # [n, K] each
        steps.append(_Step.record(B, rows, parents, chosen))
        cut = maximum[rows] == length  # [n]
        if length in cuts:
            pool.add_where_empty(cut, rows, totals, penalty[length], length)
        bound = totals[:, 0] / penalty[maximum[rows]]  # [n], the best live hypothesis comes first
        settled = bound <= pool.score[rows, -1]
        going = (~(cut | settled)).nonzero().squeeze(1)  # [n'], a wait for the device
        if len(going) == 0:
            break
        first = torch.arange(len(rows), device=device).unsqueeze(1) * (len(tokens) // len(rows))
        state = state.select((first + parents)[going].flatten())  # n'*K rows
        rows, totals, tokens = rows[going], totals[going], chosen[going].flatten()
    return _collect(pool, steps, maximum)


def _extend(log_p: Tensor, totals: Tensor, beam: int) -> tuple[Tensor, Tensor, Tensor]:
    """The best continuations of each sentence's live hypotheses.

    log_p [n*K, V], totals [n, K] → totals, parents (0 … K-1) and tokens, each [n, K'] with
    K' = min(beam, K*V), best first. Of equals, the lower parent, then the lower token.
    """
    k = min(beam, log_p.shape[1])
    _, ids = highest(log_p, k)  # [n*K, k]
    ids, _ = ids.sort(dim=1)  # by token, for the order of equals
    increments = log_p.gather(1, ids).view(*totals.shape, k)  # [n, K, k]
    reached = totals.unsqueeze(2) + increments.to(totals.dtype)  # [n, K, k]
    best, at = reached.flatten(1).sort(dim=1, descending=True, stable=True)  # [n, K*k]
    best, at = best[:, :beam], at[:, :beam]  # [n, K']
    return best, at // k, ids.view(len(totals), -1).gather(1, at)


@dataclass(frozen=True)
class _Step:
    """What a step added, for every sentence of the batch: parents and tokens, [B, K] int64."""

    parents: Tensor
    tokens: Tensor

    @classmethod
    def record(cls, B: int, rows: Tensor, parents: Tensor, tokens: Tensor) -> _Step:
        """Spread parents and tokens [n, K] of the sentences rows [n] over the batch."""
        blank = parents.new_zeros(B, parents.shape[1])
        return cls(blank.index_copy(0, rows, parents), blank.index_copy(0, rows, tokens))


@dataclass(frozen=True)
class _Pool:
    """The best candidates of each sentence, best first; changed in place. Each [B, P].

    P is n_best. score (-inf where empty) and total: in the accumulator's dtype. length and slot,
    int64: the candidate's tokens, without EOS, are those of the slot-th live hypothesis after
    step `length`.
    """

    score: Tensor
    total: Tensor
    length: Tensor
    slot: Tensor

    @classmethod
    def empty(cls, B: int, size: int, like: Tensor) -> _Pool:
        blank = like.new_full((B, size), -math.inf)
        zeros = torch.zeros_like(blank, dtype=torch.int64)
        return cls(blank, blank.clone(), zeros, zeros.clone())

    def add(self, rows: Tensor, totals: Tensor, penalty: Tensor, length: int) -> None:
        """Offer each live hypothesis of the sentences rows [n]: totals [n, K], -inf for none."""
        slots = torch.arange(totals.shape[1], device=rows.device).expand(totals.shape)  # [n, K]
        lengths = torch.full_like(slots, length)
        scores = torch.cat([self.score[rows], totals / penalty], dim=1)  # [n, P+K]
        best, order = scores.sort(dim=1, descending=True, stable=True)  # the present come first
        kept = order[:, : self.score.shape[1]]  # [n, P]
        self.score[rows] = best[:, : self.score.shape[1]]
        for mine, new in ((self.total, totals), (self.length, lengths), (self.slot, slots)):
            mine[rows] = torch.cat([mine[rows], new], dim=1).gather(1, kept)

    def add_where_empty(
        self, where: Tensor, rows: Tensor, totals: Tensor, penalty: Tensor, length: int
    ) -> None:
        """Offer as `add` does, of those sentences in `where` [n] bool that hold nothing yet."""
        empty = where & (self.score[rows, 0] == -math.inf)
        self.add(rows, totals.masked_fill(~empty.unsqueeze(1), -math.inf), penalty, length)


def _collect(pool: _Pool, steps: list[_Step], maximum: Tensor) -> list[list[Hypothesis]]:
    """What the pool holds, its tokens traced back through the steps."""
    require_finite(pool.score[:, 0])
    length, slot = pool.length, pool.slot  # [B, P]
    backwards = []
    for at in range(len(steps) - 1, -1, -1):
        inside = length > at
        here = slot.where(inside, 0)  # what is not inside yet may point past this step's slots
        backwards.append(steps[at].tokens.gather(1, here))
        slot = torch.where(inside, steps[at].parents.gather(1, here), slot)
    if not backwards:
        return []
    tokens = torch.stack(backwards[::-1], dim=2)  # [B, P, T]
    fields = zip(
        tokens.tolist(),
        length.tolist(),
        pool.total.tolist(),
        pool.score.tolist(),
        (length < maximum.unsqueeze(1)).tolist(),  # ended by EOS: a cut one has all the tokens
        strict=True,
    )
    return [
        [
            Hypothesis(path[:size], total, score, finished)
            for path, size, total, score, finished in zip(*sentence, strict=True)
            if score > -math.inf
        ]
        for sentence in fields
    ]
