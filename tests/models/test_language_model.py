"""A decoder without a source: stepping, reading and carrying on give the same."""

from __future__ import annotations

import pytest
import torch

from seq2seq.config.schema import Config
from seq2seq.config.toml import parse_config
from seq2seq.models.language_model import LanguageModelNetwork
from seq2seq.text.batching import Batch

V, CELLS = 11, ["rnn", "rnn-relu", "lstm", "gru"]


def config(**decoder: object) -> Config:
    values = {
        "task": "language-model",
        "data": {"train": "x"},
        "decoder": {"embedding": 6, "hidden": 6, "layers": 2} | decoder,
        "training": {"epochs": 1},
    }
    return parse_config(values, "here")


def model(**decoder: object) -> LanguageModelNetwork:
    torch.manual_seed(0)
    made = LanguageModelNetwork(config(**decoder), V, 0).double().eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made


def batch(tokens: torch.Tensor, *, continues: bool = False) -> Batch:
    none = torch.zeros(len(tokens), dtype=torch.int64)
    return Batch(none.numpy(), none[:, None], none, tokens, tokens, none, continues)


TOKENS = torch.tensor([[2, 5, 7, 3, 9, 1, 4], [2, 8, 8, 1, 10, 6, 5]])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
def test_stepping_is_teacher_forcing(cell: str, layers: int) -> None:
    made = model(cell=cell, layers=layers)
    r, _ = made.readouts(batch(TOKENS), None)
    wanted = made.output(r).log_softmax(dim=-1)
    state = made.start(TOKENS, TOKENS[:, 0])
    for t in range(TOKENS.shape[1]):
        log_p, state = made.decoder.step(state, TOKENS[:, t])
        torch.testing.assert_close(log_p, wanted[:, t], rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", CELLS)
def test_windows_that_carry_their_state_are_one_text(cell: str) -> None:
    made = model(cell=cell)
    whole, _ = made.readouts(batch(TOKENS), None)
    first, carried = made.readouts(batch(TOKENS[:, :3]), None)
    second, _ = made.readouts(batch(TOKENS[:, 3:], continues=True), carried)
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-10)
    fresh, _ = made.readouts(batch(TOKENS[:, 3:]), None)
    assert not torch.allclose(fresh, second)


def test_what_comes_is_seen_both_ways_alone() -> None:
    changed = TOKENS.clone()
    changed[:, -1] = 3
    one, both = model(), model(bidirectional=True, tied="none")
    for made, seen in ((one, False), (both, True)):
        before = made.readouts(batch(TOKENS), None)[0][:, :-1]
        after = made.readouts(batch(changed), None)[0][:, :-1]
        assert torch.allclose(before, after) is not seen


def test_tied_weights_are_one() -> None:
    made = model()
    assert made.output.weight is made.decoder.embedding.weight
    assert model(tied="none").output.weight.shape == (V, 6)
    names = dict(made.named_parameters())
    assert not any("bridge" in name or "readout" in name for name in names)
