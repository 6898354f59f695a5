"""What must hold of a stack: torch's own equations, padding that nothing sees, honest dropout."""

from __future__ import annotations

import copy
import functools
import itertools
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from seq2seq.nn.dropout import SequenceDropout
from seq2seq.nn.recurrent import RecurrentLayer, RecurrentStack, reverse_sequences

CELLS = {
    "rnn": nn.RNN,
    "rnn-relu": functools.partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}
CELL = pytest.mark.parametrize("cell", CELLS)
BOTH = pytest.mark.parametrize("bidirectional", [False, True], ids=["one way", "both"])
DEPTH = pytest.mark.parametrize("layers", [1, 2, 3])
LENGTHS = torch.tensor([7, 1, 4, 6])
REAL = torch.arange(7) < LENGTHS.unsqueeze(1)  # [B, T]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def stack(cell: str, layers: int = 1, **settings: Any) -> RecurrentStack:
    made = RecurrentStack(cell, 5, 4, layers, **settings).double()
    for parameter in made.parameters():  # biases too, which begin at zero
        nn.init.normal_(parameter, std=0.4)
    return made


def inputs() -> Tensor:
    """Four sentences of five features, with NaN beyond their lengths."""
    return torch.randn(4, 7, 5, dtype=torch.float64).masked_fill(~REAL.unsqueeze(2), torch.nan)


@CELL
@BOTH
@DEPTH
def test_padding_never_leaks(cell: str, bidirectional: bool, layers: int) -> None:
    made = stack(cell, layers, bidirectional=bidirectional)
    x = inputs()
    together, _ = made(x, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, _ = made(x[row : row + 1, :length], lengths=LENGTHS[row : row + 1])
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-10)


@CELL
@BOTH
@DEPTH
def test_no_gradient_through_padding(cell: str, bidirectional: bool, layers: int) -> None:
    made = stack(cell, layers, bidirectional=bidirectional)
    x = torch.randn(4, 7, 5, dtype=torch.float64, requires_grad=True)
    made(x, lengths=LENGTHS)[0][REAL].sum().backward()
    assert x.grad is not None
    assert (x.grad[~REAL] == 0).all()
    if cell != "rnn-relu":  # whose gradient is zero wherever a state is
        assert (x.grad[REAL] != 0).all()


@CELL
@BOTH
@DEPTH
def test_equals_torch_on_packed_sequences(cell: str, bidirectional: bool, layers: int) -> None:
    made = stack(cell, layers, bidirectional=bidirectional)
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    expected = x
    for number in range(layers):
        size = expected.shape[2]
        torchs = CELLS[cell](size, 4, batch_first=True, bidirectional=bidirectional).double()
        weights = dict(made.forwards[number].run.named_parameters())
        if bidirectional:
            back = made.backwards[number].run.named_parameters()
            weights |= {f"{name}_reverse": weight for name, weight in back}
        torchs.load_state_dict(weights)
        packed = pack_padded_sequence(expected, LENGTHS, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(torchs(packed)[0], batch_first=True)
        expected = outputs + expected if number else outputs  # residual from the second layer on
    outputs, _ = made(x, lengths=LENGTHS)
    torch.testing.assert_close(outputs[REAL], expected[REAL], rtol=0, atol=1e-10)


@CELL
@BOTH
def test_a_layer_that_gives_nothing_passes_its_input_on(cell: str, bidirectional: bool) -> None:
    made = stack(cell, 2, bidirectional=bidirectional)
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    seconds = [made.forwards[1], *made.backwards[1:]]
    for parameter in itertools.chain(*(layer.parameters() for layer in seconds)):
        nn.init.zeros_(parameter)
    outputs, _ = made(x, lengths=LENGTHS)
    del made.forwards[1], made.backwards[1:]
    torch.testing.assert_close(outputs, made(x, lengths=LENGTHS)[0])


@CELL
@BOTH
@DEPTH
def test_layer_norm_is_of_what_leaves_each_layer(
    cell: str, bidirectional: bool, layers: int
) -> None:
    made = RecurrentStack(cell, 5, 4, layers, bidirectional=bidirectional, layer_norm=True).double()
    plain = copy.deepcopy(made)
    plain.norms = nn.ModuleList()
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    for number in range(layers):
        expected = F.layer_norm(plain.layer(number, x, mask=None)[0], [made.output_size])
        x, _ = made.layer(number, x, mask=None)
        torch.testing.assert_close(x, expected)


@CELL
@DEPTH
@pytest.mark.parametrize("layer_norm", [False, True], ids=["as it is", "normalised"])
def test_step_by_step_equals_one_run(cell: str, layers: int, layer_norm: bool) -> None:
    made = stack(cell, layers, context_size=3, layer_norm=layer_norm)
    x, context = torch.randn(2, 4, 6, 5, dtype=torch.float64), torch.randn(4, 6, 3)
    state = None
    for part in x:  # the second run starts from the last state of the first
        outputs, last = made(part, state=state, context=context)
        for step in range(6):
            now = slice(step, step + 1)
            stepped, state = made(part[:, now], state=state, context=context[:, now])
            torch.testing.assert_close(stepped, outputs[:, now], rtol=0, atol=1e-10)
        assert [len(parts) for parts in last] == [2 if cell == "lstm" else 1] * layers
        for one, other in zip(itertools.chain(*last), itertools.chain(*state), strict=True):
            assert one.shape == (4, 4)
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@CELL
@pytest.mark.parametrize("begun", [False, True], ids=["from zero", "from a state"])
def test_the_backward_pass_is_torchs_own(cell: str, begun: bool) -> None:
    """Of every weight, the input and the first state, by what comes back through all outputs and
    the last state."""
    layer = stack(cell).forwards[0]
    x = torch.randn(4, 7, 5, dtype=torch.float64, requires_grad=True)
    first = [torch.randn(4, 4, dtype=torch.float64, requires_grad=True) for _ in range(layer.parts)]
    wanted = [x, *(first if begun else []), *layer.parameters()]
    back = torch.randn(4, 7, 4, dtype=torch.float64)

    def gradients(outputs: Tensor, last: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            value = (outputs * back).sum() + sum(part.square().sum() for part in last)
        return torch.autograd.grad(value, wanted)

    state = tuple(first) if begun else None
    ours = gradients(*layer(x, state))
    initial = tuple(part.unsqueeze(0) for part in first) if begun else None
    if initial is not None and len(initial) == 1:
        (initial,) = initial
    outputs, last = layer.run(x, initial)
    parts = last if cell == "lstm" else (last,)
    theirs = gradients(outputs, tuple(part[0] for part in parts))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_without_lengths_all_steps_are_real() -> None:
    made, x = stack("gru", bidirectional=True), torch.randn(3, 7, 5, dtype=torch.float64)
    full = made(x, lengths=torch.tensor([7, 7, 7]))[0]
    torch.testing.assert_close(made(x)[0], full, rtol=0, atol=0)


@CELL
@pytest.mark.parametrize("steps", [1, 6])
def test_weight_dropout_is_drawn_once_for_all_steps_and_only_in_training(
    cell: str, steps: int
) -> None:
    """One step and many take two ways through the layer: both must drop the same weights."""
    layer = RecurrentLayer(cell, 3, 4, weight_dropout=0.5).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    x = torch.randn(2, steps, 3, dtype=torch.float64)
    state = tuple(torch.randn(2, 4, dtype=torch.float64) for _ in range(layer.parts))
    other = RecurrentLayer(cell, 3, 4).double()
    other.load_state_dict(layer.state_dict())
    torch.manual_seed(5)
    dropped = layer(x, state)[0]
    torch.manual_seed(5)
    weight = other.run.weight_hh_l0
    weight.data = nn.functional.dropout(weight.data, 0.5)
    torch.testing.assert_close(dropped, other(x, state)[0], rtol=0, atol=1e-12)
    plain = layer.eval()(x, state)[0]
    assert not torch.allclose(plain, dropped)
    torch.testing.assert_close(plain, layer(x, state)[0], rtol=0, atol=0)


@CELL
def test_first_weights(cell: str) -> None:
    layer = RecurrentLayer(cell, 3, 4)
    for block in layer.run.weight_hh_l0.split(4):
        torch.testing.assert_close(block @ block.T, torch.eye(4))
    bias = torch.zeros(len(layer.run.bias_ih_l0))
    if cell == "lstm":
        bias[4:8] = 1  # input, forget, cell, output
    assert torch.equal(layer.run.bias_ih_l0 + layer.run.bias_hh_l0, bias)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), padding=st.integers(0, 3))
@settings(max_examples=50)
def test_reverse(lengths: list[int], padding: int) -> None:
    x = torch.randn(len(lengths), max(lengths) + padding, 2)
    expected = x.clone()
    for row, length in enumerate(lengths):
        for step in range(length):
            expected[row, step] = x[row, length - 1 - step]
    assert torch.equal(reverse_sequences(x, torch.tensor(lengths)), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("variational", [False, True])
def test_dropout_keeps_the_expectation(dtype: torch.dtype, variational: bool) -> None:
    x = torch.ones(100, 10, 200, dtype=dtype)
    dropped = SequenceDropout(0.2, variational)(x)
    assert dropped.dtype == dtype
    assert set(dropped.unique().tolist()) == {0.0, 1.25}
    # 20,000 independent draws at least: 0.01 is more than three standard deviations.
    assert dropped.double().mean().item() == pytest.approx(1, abs=0.01)


def test_variational_dropout_has_one_mask_for_all_steps() -> None:
    masks = SequenceDropout(0.5, variational=True)(torch.ones(8, 6, 50))
    assert (masks == masks[:, :1]).all()
    assert not torch.equal(masks[0], masks[1])  # one a sentence
    masks = SequenceDropout(0.5, variational=False)(torch.ones(8, 6, 50))
    assert not (masks == masks[:, :1]).all()


@pytest.mark.parametrize("rate", [0.0, 0.9])
def test_no_dropout_in_eval_or_at_zero(rate: float) -> None:
    x = torch.randn(2, 3, 4)
    dropout = SequenceDropout(rate)
    assert dropout.train(rate == 0)(x) is x


@BOTH
def test_a_stack_drops_between_layers_and_nowhere_else(bidirectional: bool) -> None:
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    for layers, same in ((1, True), (2, False)):
        made = stack("gru", layers, bidirectional=bidirectional, dropout=0.5)
        outputs = made.train()(x, lengths=LENGTHS)[0]
        assert torch.equal(outputs, made.eval()(x, lengths=LENGTHS)[0]) is same


@CELL
@pytest.mark.skipif(
    not torch.cpu._is_avx512_bf16_supported(), reason="oneDNN has no LSTM in bf16 here"
)
def test_dropout_keeps_the_dtype_that_a_layer_gives(cell: str) -> None:
    """Under autocast an LSTM gives bf16: what is dropped from it must not become float32."""
    given = []
    for rate in (0.0, 0.5):
        made = RecurrentStack(cell, 8, 8, 3, dropout=rate).train()
        seen: list[torch.dtype] = []
        for layer in made.forwards:
            layer.register_forward_pre_hook(lambda _, inputs, to=seen: to.append(inputs[0].dtype))
        with torch.autocast("cpu", torch.bfloat16):
            outputs, _ = made(torch.randn(2, 3, 8))
        given.append([*seen, outputs.dtype])
    assert given[0] == given[1]


@pytest.mark.parametrize("context_size", [0, 3])
def test_a_step_of_an_lstm_equals_the_layer(context_size: int) -> None:
    layer = RecurrentLayer("lstm", 5 + context_size, 4).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.4)
    x, h, c = (torch.randn(6, size, dtype=torch.float64) for size in (5, 4, 4))
    context = torch.randn(6, 1, 3, dtype=torch.float64) if context_size else None
    outputs, last = layer(x.unsqueeze(1), (h, c), context)
    joined = x if context is None else torch.cat([x, context[:, 0]], dim=1)
    expected, (h, c) = layer.run(joined.unsqueeze(1), (h.unsqueeze(0), c.unsqueeze(0)))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(last, (h[0], c[0]), rtol=0, atol=1e-12)


_MANY_SHAPES = """
import resource, torch
from seq2seq.nn.recurrent import RecurrentLayer

layer, highest = RecurrentLayer("lstm", 8, 8), []
with torch.inference_mode():
    for rows in range(1, 81):
        for steps in range(1, 11):
            layer(torch.zeros(rows, steps, 8), (torch.zeros(rows, 8),) * 2)
        highest.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
print((highest[-1] - highest[29]) / 1024)
"""


def test_the_memory_of_an_lstm_does_not_grow_with_the_number_of_shapes() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ONEDNN")}
    command = [sys.executable, "-c", _MANY_SHAPES]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert float(done.stdout) < 8  # MiB; without a limit more than 100
