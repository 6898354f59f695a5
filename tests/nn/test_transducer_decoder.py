"""The transducer: its pointer, its impossible actions, and its state in a search."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seq2seq.nn.decoder_state import DecoderState
from seq2seq.nn.encoder import Memory
from seq2seq.nn.transducer import PointerContext, TransducerDecoder

TOKENS, E, H, C, M = 7, 5, 4, 6, 8
V, BOS, EOS, UNK = 2 * TOKENS, 2, 3, 1
# Write 4 and move, move, write 5 and stay, write 6 and move, write 4 at the end.
ACTIONS = [BOS, 4, BOS, TOKENS + 5, 6, 4]
POINTERS = [0, 1, 2, 2, 3, 3]


def decoder(*, copying: bool = False, cell: str = "gru", layers: int = 1) -> TransducerDecoder:
    torch.manual_seed(1)
    made = TransducerDecoder(
        nn.Embedding(V, E),
        PointerContext(M, C),
        cell=cell,
        hidden=H,
        layers=layers,
        dropout=0.0,
        embedding_dropout=0.0,
        variational=False,
        tied=False,
        ends=(BOS, EOS),
        copying=copying,
    ).double()
    for weight in made.parameters():
        weight.data.mul_(2)
    return made.eval()


def memory(lengths: list[int]) -> Memory:
    """Sources with fixed values, whatever the padding is."""
    longest, parts = max(lengths), []
    for number, length in enumerate(lengths):
        generator = torch.Generator().manual_seed(1 + number)
        drawn = torch.randn(length, M, generator=generator, dtype=torch.double)
        parts.append(nn.functional.pad(drawn, (0, 0, 0, longest - length)))
    values = torch.stack(parts)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return Memory(values, mask, torch.tanh(values.sum(dim=1)[:, :C]), values)


def start(made: TransducerDecoder, lengths: list[int]) -> DecoderState:
    """The state before the first step. The first token of a source is unknown."""
    state = made.start(memory(lengths))
    if made.gate is None:
        return state
    copied = torch.full((len(lengths), max(lengths)), 5)
    copied[:, 0] = V
    copied[torch.arange(len(lengths)), torch.tensor(lengths) - 1] = EOS
    return DecoderState(state.recurrent, (*state.prepared, copied))


@pytest.mark.parametrize("copying", [False, True])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_probabilities_sum_to_1_and_impossible_actions_have_none(copying: bool, cell: str) -> None:
    made = decoder(copying=copying, cell=cell, layers=2)
    log_p, weights, after = made.predict(start(made, [4, 3]), torch.tensor([ACTIONS, ACTIONS]))
    torch.testing.assert_close(log_p.exp().sum(dim=2), torch.ones_like(log_p[..., 0]))
    for row, length in enumerate([4, 3]):
        pointers = [min(pointer, length - 1) for pointer in POINTERS]
        assert weights[row].argmax(dim=1).tolist() == pointers
        assert weights[row].sum().item() == len(POINTERS)
        for p, pointer in zip(log_p[row].exp(), pointers, strict=True):
            ended = pointer == length - 1
            assert (p[EOS] > 0) == ended
            assert (p[BOS] > 0) != ended
            assert (p[TOKENS:V] > 0).all() != ended
            assert not (ended and p[TOKENS:V].any())
            assert not p[V + 1 :].any()
            assert not copying or (p[V] > 0) == (pointer == 0)
    assert after.pointer is not None
    assert after.pointer.tolist() == [3, 2]


def test_the_context_is_the_value_at_the_pointer() -> None:
    made = decoder()
    found, _, _ = made.read(start(made, [4]), torch.tensor([ACTIONS]))
    values = made.context.value(memory([4]).values)[0]
    state, recurrent = start(made, [4]), None
    for t, (action, pointer) in enumerate(zip(ACTIONS, POINTERS, strict=True)):
        embedded, c = made.embedding(torch.tensor([[action]])), values[None, None, pointer]
        hidden, recurrent = made.stack(embedded, state=recurrent or state.recurrent, context=c)
        r = torch.tanh(made.readout(torch.cat([hidden, embedded, c], dim=-1)))
        torch.testing.assert_close(found[:, t], r[:, 0])


@pytest.mark.parametrize("copying", [False, True])
def test_steps_of_a_search_are_teacher_forcing(copying: bool) -> None:
    made, lengths = decoder(copying=copying, layers=2), [4, 2, 3]
    actions = torch.randint(V, (3, 5), generator=torch.Generator().manual_seed(1))
    actions[:, 0] = BOS
    whole, weights, _ = made.predict(start(made, lengths), actions)
    rows = torch.tensor([0, 0, 1, 1, 2, 2])  # the source of each row
    state = start(made, lengths).select(rows)
    for t in range(5):
        torch.testing.assert_close(
            made.attend(state, actions[rows, t : t + 1])[:, 0], weights[rows, t]
        )
        log_p, state = made.step(state, actions[rows, t])
        torch.testing.assert_close(log_p, whole[rows, t])
        order = torch.tensor([[1, 0, 3, 3, 4, 5], [2, 3, 5, 4], [1, 2]][t]) if t < 3 else None
        if order is not None:
            rows, state = rows[order], state.select(order)


@pytest.mark.parametrize("copying", [False, True])
def test_neighbours_and_padding_change_nothing(copying: bool) -> None:
    made, actions = decoder(copying=copying), torch.tensor([ACTIONS])
    alone, weights, _ = made.predict(start(made, [2]), actions)
    together, others, _ = made.predict(start(made, [2, 9]), actions.expand(2, -1))
    torch.testing.assert_close(together[:1, :, : V + copying], alone[..., : V + copying])
    torch.testing.assert_close(others[:1, :, :2], weights)
    assert not others[0, :, 2:].any()


def test_word_dropout_and_copies_do_not_change_the_pointer() -> None:
    made = decoder(copying=True)
    hidden = [BOS, *[UNK] * (len(ACTIONS) - 1)]
    for actions, written, pointers in (
        (hidden, ACTIONS, POINTERS),
        ([BOS, UNK, TOKENS + UNK], [BOS, V, TOKENS + UNK], [0, 1, 1]),
    ):
        both = (torch.tensor([row]) for row in (actions, written))
        weights = made.attend(start(made, [4]), *both)
        assert weights.argmax(dim=2)[0].tolist() == pointers
