"""What must hold of attention: the papers' equations, weights that are a distribution over real
tokens, and rows of a search that share a memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn.attention import (
    AdditiveAttention,
    Attention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
)
from seq2seq.nn.encoder import Memory

B, S, T, D, M, Q, C = 3, 6, 4, 8, 9, 8, 10
LENGTHS = torch.tensor([6, 1, 4])
MASK = torch.arange(S) < LENGTHS.unsqueeze(1)
KINDS: dict[str, Callable[[], Attention]] = {
    "additive": lambda: AdditiveAttention(D, M, Q, C),
    "dot": lambda: DotAttention(M, C),
    "general": lambda: GeneralAttention(D, M, Q, C),
    "cosine": lambda: CosineAttention(D, M, Q, C),
    "multi-head": lambda: MultiHeadAttention(D, M, Q, C, 5),
}
KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def attention(kind: str) -> Attention:
    made = KINDS[kind]().double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def memory() -> Memory:
    states, values = (
        torch.randn(B, S, size, dtype=torch.float64).masked_fill(~MASK.unsqueeze(2), 0)
        for size in (D, M)
    )
    return Memory(states, MASK, torch.zeros(B, C, dtype=torch.float64), values)


def single(sources: Memory, factor: float = 1.0) -> Memory:
    states, values = (part.float() * factor for part in (sources.states, sources.values))
    return replace(sources, states=states, values=values)


def queries(rows: int = B) -> Tensor:
    return torch.randn(rows, T, Q, dtype=torch.float64)


def score(made: Attention, q: Tensor, h: Tensor, head: int) -> Tensor:
    """Of one query [Q] and one state [D], as the paper writes it."""
    if isinstance(made, AdditiveAttention):
        return made.score.weight[0] @ torch.tanh(
            made.query.weight @ q + made.key.weight @ h + made.key.bias
        )
    if isinstance(made, CosineAttention):
        k = made.key.weight @ h
        return made.sharpness[0] * (q @ k) / (q @ q * (k @ k)) ** 0.5
    if isinstance(made, GeneralAttention):
        return q @ made.key.weight @ h
    if isinstance(made, MultiHeadAttention):
        part = slice(head * 2, head * 2 + 2)
        asked = (made.query.weight @ q + made.query.bias)[part]
        return asked @ (made.key.weight @ h)[part] / 2**0.5
    return q @ h


@KIND
def test_the_equations(kind: str) -> None:
    made, sources, asked = attention(kind), memory(), queries()
    c, weights = made(made.prepare(sources), asked, 1)
    heads = 5 if kind == "multi-head" else 1
    for b in range(B):
        states = sources.states[b, : LENGTHS[b]]
        values = sources.values[b, : LENGTHS[b]] @ made.value.weight.T + made.value.bias
        for t in range(T):
            alphas = [
                torch.stack([score(made, asked[b, t], h, head) for h in states]).softmax(dim=0)
                for head in range(heads)
            ]
            parts = values.split(C // heads, dim=1)
            expected = torch.cat([a @ part for a, part in zip(alphas, parts, strict=True)])
            torch.testing.assert_close(c[b, t], expected, rtol=0, atol=1e-10)
            mean = torch.stack(alphas).mean(dim=0)
            torch.testing.assert_close(weights[b, t, : LENGTHS[b]], mean, rtol=0, atol=1e-10)


@KIND
def test_weights_are_a_distribution_over_real_tokens(kind: str) -> None:
    made = attention(kind).float()
    sources = single(memory(), 30)  # sharp ones too
    _, weights = made(made.prepare(sources), queries().float() * 30, 1)
    assert weights.dtype == torch.float32
    assert (weights.masked_select(~MASK.unsqueeze(1)) == 0).all()
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(B, T))


@KIND
def test_bf16_comes_close_and_sums_in_float32(kind: str) -> None:
    made, sources, asked = attention(kind).float(), single(memory()), queries().float()
    c, weights = made(made.prepare(sources), asked, 1)
    with torch.autocast("cpu", torch.bfloat16):
        near, found = made(made.prepare(sources), asked, 1)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.sum(dim=2), torch.ones(B, T))
    torch.testing.assert_close(near.float(), c, rtol=0, atol=0.2)
    torch.testing.assert_close(found, weights, rtol=0, atol=0.1)


@KIND
@pytest.mark.parametrize("each", [1, 2, 5])
def test_rows_of_a_search_attend_to_their_own_source(kind: str, each: int) -> None:
    made, prepared = attention(kind), attention(kind).prepare(memory())
    asked = queries(each * B)
    c, weights = made(prepared, asked, each)
    for row in range(each * B):
        alone = tuple(part[row // each : row // each + 1] for part in prepared)
        expected, seen = made(alone, asked[row : row + 1], 1)
        torch.testing.assert_close(c[row], expected[0], rtol=0, atol=1e-10)
        torch.testing.assert_close(weights[row], seen[0], rtol=0, atol=1e-10)


@KIND
def test_no_gradient_through_padding(kind: str) -> None:
    made, sources = attention(kind), memory()
    states, values = (part.requires_grad_() for part in (sources.states, sources.values))
    c, _ = made(made.prepare(sources), queries(), 1)
    c.square().sum().backward()
    # A state that stands alone has all the weight, whatever it is.
    compared = MASK & (LENGTHS > 1).unsqueeze(1)
    for part, seen in ((states, compared), (values, MASK)):
        assert part.grad is not None
        assert (part.grad[~MASK] == 0).all()
        assert (part.grad[seen].abs().sum(dim=1) > 0).all()
