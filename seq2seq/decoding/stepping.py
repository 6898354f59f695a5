"""What every search shares: the model it steps through, its limits, and the one-path loop.

Letters: B batch (source sentences), K beam, V vocabulary, T length, N rows. A search knows three
verbs and nothing of networks: someone starts the state, `step` extends it by a token, `select`
picks rows of it. Nothing here mixes rows, so a sentence's result does not depend on its batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor


class State(Protocol):
    """Where N rows stand: a value that is passed along, never changed in place."""

    def select(self, rows: Tensor) -> Self:
        """The state whose row i is the present row rows[i]; rows [M] int64, repeats allowed."""
        ...


AnyState = TypeVar("AnyState", bound=State)


class Model(Protocol[AnyState]):
    """What a search steps through. A step that is given BOS is the first."""

    def step(self, state: AnyState, tokens: Tensor) -> tuple[Tensor, AnyState]:
        """tokens [N] int64 → log-probabilities [N, V] of what follows, and the next state.

        The log-probabilities are floats of any width in a fresh tensor, which the search may
        overwrite.
        """
        ...


Choose = Callable[[Tensor, Tensor], Tensor]
"""(log-probabilities [N, V], rows [N] int64: the source sentence of each) → tokens [N] int64."""


@dataclass(frozen=True)
class Limits:
    """How long a hypothesis may be, in tokens.

    minimum: tokens before EOS may come, at least 1. maximum [B] int64, each at least 1: the
    longest hypothesis of each sentence, EOS counted, on the model's device; what has not ended by
    then is cut there, unfinished. Where the two conflict, the maximum holds. ValueError otherwise.
    """

    minimum: int
    maximum: Tensor

    def __post_init__(self) -> None:
        if self.minimum < 1:
            raise ValueError(f"minimum is {self.minimum}, must be at least 1")
        if self.maximum.dim() != 1 or self.maximum.dtype != torch.int64:
            raise ValueError("maximum must be one int64 per source sentence")
        if self.maximum.numel() and int(self.maximum.min()) < 1:
            raise ValueError("maximum must be at least 1 for every sentence")


@dataclass(frozen=True)
class Specials:
    """The ids a search treats apart. forbidden: never emitted (padding, unknown, BOS).

    Forbidden tokens are masked, and the others not renormalised: a hypothesis scores what teacher
    forcing gives for it. ValueError when EOS is among the forbidden.
    """

    bos: int
    eos: int
    forbidden: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.eos in self.forbidden:
            raise ValueError("EOS must not be forbidden")


@dataclass(frozen=True)
class Hypothesis:
    """One result of a search.

    tokens: without BOS and EOS. log_probability: Σ log p, natural logarithm, of EOS too when
    finished. score: log_probability / length^alpha, EOS counted in the length when finished.
    finished: ended by EOS rather than cut at the maximum.
    """

    tokens: list[int]
    log_probability: float
    score: float
    finished: bool


def accumulator(device: torch.device) -> torch.dtype:
    """The dtype that sums of log-probabilities are kept in: float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def penalties(longest: int, alpha: float, device: torch.device) -> Tensor:
    """length^alpha for the lengths 0 … longest, [longest + 1] in the accumulator's dtype.

    The sum of log-probabilities is divided by it (Wu et al. 2016, equation 14, smooths
    it; alpha 0 leaves the sum, 1 gives the mean). ValueError unless alpha is finite and >= 0: below
    0, the bound by which a beam search stops would not hold.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"the length penalty's alpha is {alpha}, must be finite and at least 0")
    return torch.arange(longest + 1, device=device).to(accumulator(device)) ** alpha


def highest(values: Tensor, k: int, chunk: int = 64) -> tuple[Tensor, Tensor]:
    """The k largest of each row of values [N, V]: ([N, k], ids [N, k] int64), largest first.

    Equal to `torch.topk`, and several times faster on a CPU for a large V: the k largest lie in
    the k chunks whose maxima are largest, and maxima are found at the speed of memory. Of equal
    values k = 1 takes the lowest id; for k > 1 which of them is taken follows `torch.topk`, that
    is, depends on the row and k alone on a CPU. ValueError when k exceeds V.
    """
    N, V = values.shape
    if k > V:
        raise ValueError(f"cannot take {k} of {V} values")
    chunks = V // chunk
    if chunks < 4 * k:
        return _topk(values, k)
    head = values[:, : chunks * chunk].reshape(N, chunks, chunk)  # [N, V/c, c], a view
    _, best = _topk(head.amax(dim=2), k)  # [N, k] chunks
    inside = head.gather(1, best.unsqueeze(2).expand(N, k, chunk)).flatten(1)  # [N, k*c]
    tail = values[:, chunks * chunk :]  # [N, V mod c]
    found, at = _topk(torch.cat([inside, tail], dim=1), k)  # [N, k]
    start = best.gather(1, (at // chunk).clamp(max=k - 1)) * chunk  # [N, k]
    in_tail = at >= k * chunk
    return found, torch.where(in_tail, at + (chunks - k) * chunk, start + at % chunk)


def _topk(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    if k == 1:
        largest, ids = values.max(dim=1, keepdim=True)  # the first of equals
        return largest, ids
    largest, ids = values.topk(k, dim=1)
    return largest, ids


@torch.no_grad()
def follow(
    model: Model[AnyState],
    state: AnyState,
    limits: Limits,
    specials: Specials,
    alpha: float,
    choose: Choose,
) -> list[list[Hypothesis]]:
    """Follow one path per sentence, each next token picked by `choose`; greedy and sampling.

    state: B rows, one per source sentence. `choose` is given forbidden tokens, and EOS before
    `limits.minimum` tokens, as -inf; it must not change what it is given. Sentences that have
    ended leave the batch. Gives B lists of one hypothesis each. Errors: ValueError for a bad
    alpha, ArithmeticError where the model gave no permitted token a finite log-probability.
    """
    maximum = limits.maximum
    B, device = len(maximum), maximum.device
    penalty = penalties(int(maximum.max()) if B else 0, alpha, device)
    forbidden = torch.tensor(specials.forbidden, dtype=torch.int64, device=device)
    early = torch.tensor([*specials.forbidden, specials.eos], device=device)
    rows = torch.arange(B, device=device)  # [N], N = B at first
    tokens = torch.full_like(rows, specials.bos)  # [N]
    totals = penalty.new_zeros(B)
    written: list[Tensor] = []  # T times [B]
    for length in range(1, len(penalty)):
        log_p, state = model.step(state, tokens)  # [N, V]
        log_p.index_fill_(1, forbidden if length > limits.minimum else early, -math.inf)
        tokens = choose(log_p, rows)  # [N]
        totals[rows] += log_p.gather(1, tokens.unsqueeze(1)).squeeze(1).to(totals.dtype)
        written.append(torch.full_like(maximum, specials.eos).index_copy_(0, rows, tokens))
        going = ((tokens != specials.eos) & (length < maximum[rows])).nonzero().squeeze(1)
        if len(going) == 0:
            break
        if len(going) < len(rows):
            rows, tokens, state = rows[going], tokens[going], state.select(going)
    return _collect(written, totals, penalty, maximum, specials.eos)


def _collect(
    written: list[Tensor], totals: Tensor, penalty: Tensor, maximum: Tensor, eos: int
) -> list[list[Hypothesis]]:
    if not written:
        return []
    require_finite(totals)
    results = []
    powers = penalty[: len(written) + 1].tolist()
    paths = torch.stack(written, dim=1).tolist()  # [B, T]
    for path, total, longest in zip(paths, totals.tolist(), maximum.tolist(), strict=True):
        kept = path[:longest]
        finished = eos in kept
        tokens = kept[: kept.index(eos)] if finished else kept
        score = total / powers[len(tokens) + finished]
        results.append([Hypothesis(tokens, total, score, finished)])
    return results


def require_finite(totals: Tensor) -> None:
    """totals [B]: ArithmeticError, naming the first sentence whose total is not finite."""
    broken = (~totals.isfinite()).nonzero().squeeze(1)
    if len(broken):
        raise ArithmeticError(
            f"sentence {int(broken[0])} of the batch: the model gave no permitted token a finite "
            "log-probability"
        )
