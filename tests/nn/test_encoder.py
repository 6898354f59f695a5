"""What must hold of the encoder: a sentence is read alone, and each pooling does what it says."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seq2seq.nn.encoder import Encoder, Pooling, token_mask

POOLINGS = ["last", "mean", "max", "attentive"]
POOLING = pytest.mark.parametrize("pooling", POOLINGS)
CELL = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
BOTH = pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both"])
LENGTHS = torch.tensor([6, 1, 4, 3])
TOKENS = torch.tensor(  # 10 to 12 are garbage beyond the lengths, and nowhere else
    [
        [4, 5, 6, 7, 8, 3],
        [3, 10, 11, 12, 10, 12],
        [9, 9, 5, 3, 12, 10],
        [6, 4, 3, 11, 11, 11],
    ]
)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def encoder(**changed: Any) -> Encoder:
    values: dict[str, Any] = {
        "cell": "gru",
        "hidden": 4,
        "layers": 2,
        "bidirectional": True,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
        "variational": False,
        "pooling": "mean",
        "heads": 3,
        "context_size": 7,
    }
    return Encoder(nn.Embedding(13, 5), **{**values, **changed}).double()


@CELL
@BOTH
@pytest.mark.parametrize("layers", [1, 2, 3])
@POOLING
def test_padding_never_leaks(cell: str, bidirectional: bool, layers: int, pooling: str) -> None:
    made = encoder(
        cell=cell, bidirectional=bidirectional, layers=layers, pooling=pooling, shortcut=True
    )
    together = made(TOKENS, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = made(TOKENS[row : row + 1, :length], LENGTHS[row : row + 1])
        for one, other in (
            (together.states[row, :length], alone.states[0]),
            (together.values[row, :length], alone.values[0]),
            (together.summary[row], alone.summary[0]),
        ):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
        assert (together.states[row, length:] == 0).all()
        assert (together.values[row, length:] == 0).all()
        assert together.mask[row].tolist() == [step < length for step in range(6)]


@BOTH
@POOLING
def test_no_gradient_through_padding(bidirectional: bool, pooling: str) -> None:
    made = encoder(bidirectional=bidirectional, pooling=pooling, shortcut=True)
    memory = made(TOKENS, LENGTHS)
    (memory.states.sum() + memory.values.sum() + memory.summary.sum()).backward()
    gradient = made.embedding.weight.grad
    assert (gradient[10:] == 0).all()
    assert (gradient[3:10] != 0).all()


@BOTH
def test_embeddings_are_read_times_the_root_of_their_size(bidirectional: bool) -> None:
    made, plain = (
        encoder(bidirectional=bidirectional, pooling="last", shortcut=cut) for cut in (True, False)
    )
    plain.load_state_dict(made.state_dict())
    memory, expected = made(TOKENS, LENGTHS), plain(TOKENS, LENGTHS)
    read = (made.embedding(TOKENS) * 5**0.5).masked_fill(~memory.mask.unsqueeze(2), 0)
    states, _ = made.stack(read, lengths=LENGTHS)
    states = states.masked_fill(~memory.mask.unsqueeze(2), 0)
    torch.testing.assert_close(memory.states, states)
    torch.testing.assert_close(memory.values, torch.cat([states, read], dim=2))
    assert torch.equal(expected.states, memory.states)
    assert expected.values is expected.states  # without a shortcut


def naive(pooling: Pooling, states: Tensor, values: Tensor, length: int) -> Tensor:
    """One sentence, states [S, D], values [S, M], one number at a time."""
    real, read = states[:length], values[:length]
    size = states.shape[1]
    if pooling.kind == "last":
        half = size // 2 if pooling.bidirectional else size
        return torch.cat([real[-1, :half], real[0, half:]])
    if pooling.kind == "max":
        columns = [[row[i] for row in real.tolist()] for i in range(size)]
        return torch.tensor([max(column) for column in columns], dtype=states.dtype)
    if pooling.kind == "mean":
        columns = [[row[i] for row in read.tolist()] for i in range(values.shape[1])]
        return torch.tensor([sum(column) / length for column in columns], dtype=states.dtype)
    heads = []
    for query in pooling.queries.weight:
        scores = [(query @ torch.tanh(pooling.key(row))).item() for row in real]
        total = sum(map(math.exp, scores))
        heads.append(sum(math.exp(s) / total * row for s, row in zip(scores, read, strict=True)))
    return torch.cat(heads)


@POOLING
@BOTH
def test_pooling_equals_a_loop(pooling: str, bidirectional: bool) -> None:
    made = Pooling(pooling, 8, 11, 5, heads=3, bidirectional=bidirectional).double()
    # Garbage over padding: it must not matter.
    states, values = (torch.randn(4, 6, n, dtype=torch.float64) for n in (8, 11))
    expected = [
        torch.tanh(made.norm(made.project(naive(made, row, read, length))))
        for row, read, length in zip(states, values, LENGTHS.tolist(), strict=True)
    ]
    mask = token_mask(LENGTHS, 6)
    torch.testing.assert_close(
        made(states, values, mask), torch.stack(expected), rtol=0, atol=1e-10
    )


@POOLING
def test_shapes_and_dtypes(pooling: str) -> None:
    memory = encoder(pooling=pooling).bfloat16()(TOKENS, LENGTHS)
    assert memory.states.shape == (4, 6, 8)
    assert memory.summary.shape == (4, 7)
    assert memory.mask.dtype == torch.bool
    assert memory.states.dtype == memory.summary.dtype == torch.bfloat16


@pytest.mark.parametrize("where", ["dropout", "embedding_dropout"])
@pytest.mark.parametrize("variational", [False, True])
def test_dropout_in_training_only(where: str, variational: bool) -> None:
    made = encoder(layers=1, variational=variational, **{where: 0.5})
    one, other = (made(TOKENS, LENGTHS).states for _ in range(2))
    assert not torch.equal(one, other)
    made.eval()
    one, other = (made(TOKENS, LENGTHS).states for _ in range(2))
    assert torch.equal(one, other)
    if where == "dropout":  # on what leaves the stack
        dropped = made.train()(TOKENS[:1], LENGTHS[:1]).states[0] == 0  # [S, D], no padding
        assert dropped.any()
        assert bool((dropped == dropped[0]).all()) is variational
