"""Hard monotonic attention against a sum over all alignments, and its state in a search."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from seq2seq.errors import UserError
from seq2seq.nn import monotonic
from seq2seq.nn.encoder import Memory
from seq2seq.nn.monotonic import LARGEST_VOCABULARY, MonotonicAttention, MonotonicDecoder

V, E, H, C, D, M, S = 7, 5, 4, 6, 3, 8, 4


def decoder(cell: str = "gru", layers: int = 1, size: int = V) -> MonotonicDecoder:
    torch.manual_seed(1)
    made = MonotonicDecoder(
        nn.Embedding(size, E),
        MonotonicAttention(D, M, H, C),
        cell=cell,
        hidden=H,
        layers=layers,
        dropout=0.0,
        embedding_dropout=0.0,
        variational=False,
        tied=False,
    ).double()
    for weight in made.parameters():
        weight.data.mul_(2)
    return made.eval()


def memory(lengths: list[int], seed: int = 1) -> Memory:
    """Sources with fixed values, whatever the padding is."""
    longest, parts = max(lengths), []
    for number, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(seed + number)
        drawn = torch.randn(length, D + M, generator=generator, dtype=torch.double)
        parts.append(nn.functional.pad(drawn, (0, 0, 0, longest - length)))
    both = torch.stack(parts)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    summary = torch.tanh(both.sum(dim=1)[:, :C])
    return Memory(both[..., :D], mask, summary, both[..., D:])


def over_all_alignments(made: MonotonicDecoder, source: Memory, tokens: Tensor) -> float:
    """The probability of tokens[1:] after tokens[0], summed over every monotonic alignment."""
    state = made.start(source)
    embedded = made.embedding(tokens[None, :-1])
    hidden, _ = made.stack(embedded, state=state.recurrent)
    values = made.context.value(source.values)[0]
    total = 0.0
    for path in itertools.combinations_with_replacement(range(S), len(tokens) - 1):
        probability, before = 1.0, 0
        for t, at in enumerate(path):
            joined = torch.tanh(
                made.context.query(hidden[0, t]) + made.context.key(source.states[0])
            )
            scores = made.context.score(joined)[:, 0]
            moves = scores[before:].softmax(dim=0)
            r = torch.tanh(made.readout(torch.cat([hidden[0, t], embedded[0, t], values[at]])))
            emission = made.output(r).softmax(dim=0)
            probability *= (moves[at - before] * emission[tokens[t + 1]]).item()
            before = at
        total += probability
    return total


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_the_likelihood_is_a_sum_over_all_alignments(cell: str, layers: int) -> None:
    made, source = decoder(cell, layers), memory([S])
    tokens = torch.tensor([2, 5, 6, 4, 3])
    log_p, weights, _ = made.predict(made.start(source), tokens[None, :-1])
    found = log_p[0].gather(1, tokens[1:, None]).sum().exp()
    assert found.item() == pytest.approx(over_all_alignments(made, source, tokens), rel=1e-9)
    torch.testing.assert_close(log_p.exp().sum(dim=2), torch.ones_like(log_p[..., 0]))
    torch.testing.assert_close(weights.sum(dim=2), torch.ones_like(weights[..., 0]))


def test_steps_of_a_search_are_teacher_forcing() -> None:
    made, sources = decoder(layers=2), memory([4, 2, 3])
    tokens = torch.randint(V, (3, 5), generator=torch.Generator().manual_seed(1))
    whole, _, _ = made.predict(made.start(sources), tokens)
    rows = torch.tensor([0, 0, 1, 1, 2, 2])  # the source of each row
    state = made.start(sources).select(rows)
    for t in range(5):
        log_p, state = made.step(state, tokens[rows, t])
        torch.testing.assert_close(log_p, whole[rows, t])
        order = torch.tensor([[1, 0, 3, 3, 4, 5], [2, 3, 5, 4], [1, 2]][t]) if t < 3 else None
        if order is not None:
            rows, state = rows[order], state.select(order)


def test_neighbours_and_padding_change_nothing() -> None:
    made = decoder()
    tokens = torch.tensor([[1, 4, 2]])
    alone, weights, _ = made.predict(made.start(memory([2])), tokens)
    together, others, _ = made.predict(made.start(memory([2, 9])), tokens.expand(2, -1))
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-12)
    torch.testing.assert_close(others[:1, :, :2], weights, rtol=0, atol=1e-12)
    assert not others[0, :, 2:].any()


def test_pieces_give_the_same_result_and_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    made, sources = decoder(), memory([4, 2, 3, 4])
    tokens = torch.randint(V, (4, 3), generator=torch.Generator().manual_seed(1))
    results = []
    for size in (1 << 24, 1):
        monkeypatch.setattr(monotonic, "_NUMBERS", size)
        log_p, weights, _ = made.predict(made.start(sources), tokens)
        gradients = torch.autograd.grad(log_p[..., 3].sum(), list(made.parameters()))
        results.append([log_p, weights, *gradients])
    torch.testing.assert_close(*results)


def test_word_dropout_hides_tokens_from_the_recurrence_alone() -> None:
    """The alignment is that of the token which was written, not of the <unk> which is read."""
    made, source = decoder(), memory([S])
    read, written = torch.tensor([[2, 1, 1]]), torch.tensor([[2, 5, 6]])
    found, weights, _ = made.predict(made.start(source), read, written)
    state = made.start(source)
    for t in range(3):
        log_p, one, state = made.predict(state, read[:, t : t + 1], written[:, t : t + 1])
        torch.testing.assert_close(log_p[:, 0], found[:, t])
        torch.testing.assert_close(one[:, 0], weights[:, t])
    other, _, _ = made.predict(made.start(source), read)
    assert not torch.allclose(found, other)


def test_a_large_vocabulary_is_refused() -> None:
    with pytest.raises(UserError, match=r"too slow for 1,001 target tokens: use at most 1,000"):
        decoder(size=LARGEST_VOCABULARY + 1)
