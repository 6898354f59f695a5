"""What must hold of the decoder: stepping is teacher forcing, and c is heard at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seq2seq.nn.attention import (
    AdditiveAttention,
    CosineAttention,
    DotAttention,
    GeneralAttention,
    MultiHeadAttention,
)
from seq2seq.nn.context import AlignedContext, Context, FixedContext, PreparedContext
from seq2seq.nn.decoder import Decoder
from seq2seq.nn.encoder import Memory

V, E, H, C, D, S = 11, 5, 4, 6, 4, 5
CELL = pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
DEPTH = pytest.mark.parametrize("layers", [1, 2, 3])


CONTEXTS: dict[str, Callable[[], Context]] = {
    "fixed": lambda: FixedContext(C),
    "aligned": lambda: AlignedContext(D, C),
    "additive": lambda: AdditiveAttention(D, D, H, C),
    "dot": lambda: DotAttention(D, C),
    "general": lambda: GeneralAttention(D, D, H, C),
    "cosine": lambda: CosineAttention(D, D, H, C),
    "multi-head": lambda: MultiHeadAttention(D, D, H, C, 2),
}
CONTEXT = pytest.mark.parametrize("context", CONTEXTS)
PLACEMENT = pytest.mark.parametrize("classic", [False, True], ids=["parallel", "classic"])


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def decoder(context: Context | str = "fixed", **changed: Any) -> Decoder:
    values: dict[str, Any] = {
        "cell": "gru",
        "hidden": H,
        "layers": 2,
        "dropout": 0.0,
        "embedding_dropout": 0.0,
        "variational": False,
        "tied": True,
    }
    made = CONTEXTS[context]() if isinstance(context, str) else context
    network = Decoder(nn.Embedding(V, E), made, **{**values, **changed}).double()
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.5)
    return network


def memory(summary: Tensor) -> Memory:
    """As an encoder would give it: source i has one state fewer than source i - 1."""
    rows = len(summary)
    lengths = S - torch.arange(rows).clamp(max=S - 1)
    mask = torch.arange(S) < lengths.unsqueeze(1)
    states = torch.linspace(-1, 1, rows * S * D, dtype=torch.float64).sin().view(rows, S, D)
    states = states * summary.detach().double().mean(dim=1).view(-1, 1, 1)  # each row its own
    states = states.to(summary.dtype).masked_fill(~mask.unsqueeze(2), 0)
    return Memory(states, mask, summary, states)


def one_of(sources: Memory, row: int) -> Memory:
    """A source of its own, without padding."""
    length = int(sources.mask[row].sum())
    now = slice(row, row + 1)
    states = sources.states[now, :length]
    return Memory(states, sources.mask[now, :length], sources.summary[now], states)


def summaries(rows: int) -> Tensor:
    return torch.randn(rows, C, dtype=torch.float64)


@CONTEXT
@PLACEMENT
@CELL
@DEPTH
@pytest.mark.parametrize("tied", [False, True], ids=["own output", "tied"])
def test_stepping_equals_teacher_forcing(
    cell: str, layers: int, tied: bool, classic: bool, context: str
) -> None:
    norm = {"layer_norm": not tied}
    made = decoder(context, cell=cell, layers=layers, tied=tied, classic=classic, **norm)
    sources = memory(summaries(3))
    target = torch.randint(V, (3, 8))
    expected = made(sources, target).log_softmax(dim=-1)
    state = made.start(sources)
    for step in range(8):
        found, state = made.step(state, target[:, step])
        torch.testing.assert_close(found, expected[:, step], rtol=0, atol=1e-10)


@CONTEXT
@PLACEMENT
@CELL
@given(draw=st.data())
@settings(max_examples=15)
def test_selected_rows_go_on_as_if_alone(
    cell: str, classic: bool, context: str, draw: st.DataObject
) -> None:
    """Any rows in any order, some twice and some dropped, of several sources."""
    torch.manual_seed(0)
    made = decoder(context, cell=cell, classic=classic)
    sources = memory(summaries(3))
    state = made.start(sources)
    rows = [(source, []) for source in range(3)]  # source and tokens of each hypothesis
    for _ in range(4):
        indices = st.integers(0, len(rows) - 1)
        picked = draw.draw(st.lists(indices, min_size=1, max_size=6))
        tokens = draw.draw(st.lists(st.integers(0, V - 1), min_size=6, max_size=6))
        state = state.select(torch.tensor(picked))
        rows = [
            (rows[index][0], [*rows[index][1], token])
            for index, token in zip(picked, tokens, strict=False)
        ]
        found, state = made.step(state, torch.tensor(tokens[: len(rows)]))
    for row, (source, written) in enumerate(rows):
        alone = made(one_of(sources, source), torch.tensor([written]))
        expected = alone[0, -1].log_softmax(dim=-1)
        torch.testing.assert_close(found[row], expected, rtol=0, atol=1e-10)


@CONTEXT
def test_a_beam_shares_the_memory_of_each_source(context: str) -> None:
    """Which is copied where a source has left, and then only."""
    state = decoder(context).start(memory(summaries(3)))
    beam = state.select(torch.arange(3).repeat_interleave(4))
    assert (beam.prepared, beam.rows_per_source) == (state.prepared, 4)
    after = beam.select(torch.tensor([3, 0, 0, 1, 6, 6, 6, 6, 9, 8, 11, 8]))
    assert (after.prepared, after.rows_per_source) == (state.prepared, 4)
    fewer = after.select(torch.tensor([0, 1, 2, 3, 9, 8, 8, 8]))
    assert fewer.rows_per_source == 4
    for part, whole in zip(fewer.prepared, state.prepared, strict=True):
        assert torch.equal(part, whole[[0, 2]])
    assert fewer.select(torch.arange(8)).prepared is fewer.prepared


@CELL
@DEPTH
def test_every_step_hears_the_summary(cell: str, layers: int) -> None:
    made = decoder(cell=cell, layers=layers)
    summary, target = summaries(1), torch.randint(V, (1, 10))
    moved = (made(memory(summary), target) - made(memory(summary + 0.1), target)).abs()
    assert (moved.amax(dim=2) > 1e-4).all()


class Given(Context):
    """Another c at each step, handed in from outside: which context it is, no decoder knows."""

    def __init__(self, c: Tensor) -> None:
        super().__init__(c.shape[-1])
        self.c = c

    def prepare(self, memory: Memory) -> PreparedContext:
        return ()

    def forward(
        self, prepared: PreparedContext, query: Tensor, rows_per_source: int
    ) -> tuple[Tensor, None]:
        return self.c, None


@pytest.mark.parametrize("path", ["both", "recurrence", "output"])
@CELL
def test_c_reaches_the_recurrence_and_the_output_layer(cell: str, path: str) -> None:
    """∂ logits_t / ∂ c_u, with one of the two ways cut: none from the future in any case."""
    c = summaries(6).unsqueeze(0).requires_grad_()
    made = decoder(Given(c), cell=cell)
    with torch.no_grad():
        if path == "recurrence":
            made.readout.weight[:, -C:] = 0
        if path == "output":
            for layer in made.stack.forwards:
                layer.run.weight_ih_l0[:, -C:] = 0
    logits = made(memory(summaries(1)), torch.randint(V, (1, 6)))
    for step in range(6):
        (gradient,) = torch.autograd.grad(logits[0, step].square().sum(), c, retain_graph=True)
        heard = gradient[0].abs().amax(dim=1) > 0
        first = step if path == "output" else 0
        assert heard.tolist() == [first <= other <= step for other in range(6)]


@CELL
@DEPTH
def test_started_from_c(cell: str, layers: int) -> None:
    made = decoder(cell=cell, layers=layers)
    summary = summaries(2)
    state = made.start(memory(summary))
    parts = [part for layer in state.recurrent for part in layer]
    assert len(parts) == layers * (2 if cell == "lstm" else 1)
    expected = torch.tanh(summary @ made.bridge.weight.T + made.bridge.bias)
    assert torch.equal(torch.cat(parts, dim=1), expected)
    # And the first state is used: with c cut from everywhere else it still moves the logits.
    with torch.no_grad():
        made.readout.weight[:, -C:] = 0
        for layer in made.stack.forwards:
            layer.run.weight_ih_l0[:, -C:] = 0
    logits = made(memory(summary), torch.ones(2, 3, dtype=torch.int64))
    assert not torch.allclose(logits[0], logits[1])


@CELL
def test_gradient(cell: str) -> None:
    made = decoder(cell=cell)
    target = torch.randint(V, (2, 3))
    summary = summaries(2).requires_grad_()
    assert torch.autograd.gradcheck(lambda given: made(memory(given), target), summary)


@pytest.mark.parametrize("tied", [False, True])
def test_tied_output(tied: bool) -> None:
    made = decoder(tied=tied)
    assert (made.output.weight is made.embedding.weight) is tied


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_log_probabilities(given: torch.dtype, expected: torch.dtype) -> None:
    made = decoder().to(given)
    state = made.start(memory(summaries(3).to(given)))
    found, _ = made.step(state, torch.tensor([1, 2, 3]))
    assert found.dtype == expected
    assert found.shape == (3, V)
    torch.testing.assert_close(found.exp().sum(dim=1), torch.ones(3, dtype=expected))


@pytest.mark.parametrize("where", ["dropout", "embedding_dropout"])
def test_dropout_in_training_only(where: str) -> None:
    made = decoder(layers=1, **{where: 0.5})
    sources, target = memory(summaries(2)), torch.randint(V, (2, 4))
    for mode, same in ((True, False), (False, True)):
        made.train(mode)
        assert torch.equal(made(sources, target), made(sources, target)) is same


@CELL
@DEPTH
def test_with_a_fixed_c_both_placements_are_one_network(cell: str, layers: int) -> None:
    parallel = decoder(cell=cell, layers=layers)
    classic = decoder(cell=cell, layers=layers, classic=True)
    classic.load_state_dict(parallel.state_dict())
    sources, target = memory(summaries(2)), torch.randint(V, (2, 6))
    torch.testing.assert_close(
        classic(sources, target), parallel(sources, target), rtol=0, atol=1e-10
    )


@PLACEMENT
def test_the_query_is_the_first_layers_state(classic: bool) -> None:
    """Parallel: that of the step itself; classic: the one before."""
    asked: list[Tensor] = []

    class Asking(FixedContext):
        query_independent = False

        def forward(
            self, prepared: PreparedContext, query: Tensor, rows_per_source: int
        ) -> tuple[Tensor, Tensor | None]:
            asked.append(query)
            return super().forward(prepared, query, rows_per_source)

    made = decoder(Asking(C), cell="lstm", classic=classic)
    state = made.start(memory(summaries(2)))
    for step in range(3):
        before = state.recurrent[0][0]
        _, state = made.step(state, torch.tensor([1, step]))
        after = state.recurrent[0][0]
        assert torch.equal(asked[-1].squeeze(1), before if classic else after)


@PLACEMENT
@pytest.mark.parametrize("variational", [True, False])
def test_one_dropout_mask_over_time_between_layers(
    classic: bool, variational: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variational: what is dropped at one step is dropped at all; else it is drawn anew."""
    made = decoder(dropout=0.5, variational=variational, classic=classic).train()
    masks: list[Tensor] = []
    plain = made.stack.layer

    def noting(number: int, x: Tensor, *, mask: Tensor | None, **rest: Any) -> Any:
        if mask is not None:
            masks.append(mask)
        return plain(number, x, mask=mask, **rest)

    monkeypatch.setattr(made.stack, "layer", noting)
    made(memory(summaries(2)), torch.randint(V, (2, 12)))
    mask = torch.cat(masks, dim=1)
    assert mask.shape == (2, 12, H)
    assert bool((mask == mask[:, :1]).all()) is variational
