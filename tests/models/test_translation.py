"""What must hold of the whole network: its parts are joined, tied and all used."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from seq2seq.config import toml
from seq2seq.models.translation import TranslationNetwork

CONTEXT = pytest.mark.parametrize(
    "context",
    [
        {"kind": kind, "placement": placement}
        for kind in ("fixed", "additive", "dot", "general", "cosine", "multi-head", "monotonic")
        for placement in ("parallel", "classic")
        if placement == "parallel" or kind not in ("fixed", "monotonic")
    ],
    ids=lambda context: " ".join(context.values()),
)
LENGTHS = torch.tensor([5, 2, 3])
SOURCE = torch.tensor([[4, 5, 6, 7, 3], [8, 3, 9, 9, 9], [5, 5, 3, 10, 10]])
TARGET = torch.tensor([[2, 4, 5, 6], [2, 7, 7, 0], [2, 9, 0, 0]])


def network(sizes: tuple[int, int] = (12, 12), **sections: dict[str, Any]) -> TranslationNetwork:
    values: dict[str, Any] = {
        "data": {"source": "de", "target": "en", "train": "train"},
        "training": {"epochs": 1},
        "encoder": {"embedding": 6, "hidden": 4},
        "context": {"size": 6, "heads": 2},
        "decoder": {"embedding": 6, "hidden": 8},
    }
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    torch.manual_seed(0)
    return TranslationNetwork(toml.parse_config(values, "test"), *sizes, 0).eval()


@pytest.mark.parametrize(
    ("tied", "output", "source"),
    [("none", False, False), ("output", True, False), ("all", True, True)],
)
def test_tied_embeddings_share_storage(tied: str, output: bool, source: bool) -> None:
    made = network(decoder={"tied": tied})
    target = made.decoder.embedding.weight.data_ptr()
    assert (made.decoder.output.weight.data_ptr() == target) is output
    assert (made.encoder.embedding.weight.data_ptr() == target) is source
    made.double()  # moved and cast they still do
    assert (made.decoder.output.weight is made.decoder.embedding.weight) is output
    assert (made.encoder.embedding.weight is made.decoder.embedding.weight) is source


def test_the_embedding_of_padding_is_zero_at_first() -> None:
    made = network()
    for embedding in (made.encoder.embedding, made.decoder.embedding):
        empty = (embedding.weight == 0).all(dim=1)
        assert empty.tolist() == [True] + [False] * 11


def test_vocabularies_of_their_own() -> None:
    made = network((11, 20), decoder={"tied": "output"})
    assert made.encoder.embedding.num_embeddings == 11
    assert made(SOURCE, LENGTHS, TARGET + 10).shape == (3, 4, 20)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attentive"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@CONTEXT
def test_a_translation_depends_on_its_source_alone(
    cell: str, pooling: str, context: dict[str, str]
) -> None:
    made = network(
        encoder={"cell": cell, "layers": 2},
        decoder={"cell": cell, "layers": 2},
        context={"pooling": pooling, **context},
    ).double()
    logits = made(SOURCE, LENGTHS, TARGET)
    state = made.start(SOURCE, LENGTHS)
    for step in range(4):
        found, state = made.decoder.step(state, TARGET[:, step])
        expected = logits[:, step].log_softmax(dim=-1)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    for row, length in enumerate(LENGTHS.tolist()):
        now = slice(row, row + 1)
        alone = made(SOURCE[now, :length], LENGTHS[now], TARGET[now])
        torch.testing.assert_close(logits[now], alone, rtol=0, atol=1e-10)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attentive"])
@CONTEXT
def test_every_weight_learns(cell: str, pooling: str, context: dict[str, str]) -> None:
    made = network(
        encoder={"cell": cell, "layers": 2},
        decoder={"cell": cell, "layers": 2, "tied": "none"},
        context={"pooling": pooling, **context},
    ).train()
    logits = made(SOURCE, LENGTHS, TARGET)
    nn.functional.cross_entropy(logits.flatten(0, 1), TARGET.flatten()).backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
