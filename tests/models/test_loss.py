"""The loss against torch's own, padding, and word dropout."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seq2seq.models import loss, output_loss
from seq2seq.models.folder import load_model
from seq2seq.models.loss import cross_entropy
from seq2seq.models.word_dropout import apply_word_dropout
from seq2seq.text.batching import Batch, pad_sequences


@pytest.fixture(scope="module")
def model(trained):
    model = load_model(trained / "model")
    model.network.double()
    return model


def batch_of(model, lengths, seed=0, extra=0):
    """Random ids; `extra` columns of padding on both sides."""
    random = np.random.default_rng(seed)
    target = model.codec.target
    draw = [random.integers(300, len(target), (2, n)) for n in lengths]
    source, sizes = pad_sequences([ids[0] for ids in draw], target.pad, target.eos)
    outputs, _ = pad_sequences([ids[1] for ids in draw], target.pad, target.eos)
    inputs = torch.cat([torch.full((len(lengths), 1), target.bos), outputs[:, :-1]], dim=1)
    inputs = inputs.masked_fill(inputs == target.eos, target.pad)
    padded = [F.pad(part, (0, extra), value=target.pad) for part in (source, inputs, outputs)]
    real = (padded[2] != target.pad).flatten().nonzero().squeeze(1)
    return Batch(np.arange(len(lengths)), padded[0], sizes, padded[1], padded[2], real)


@pytest.fixture(params=[2, 512], ids=["in pieces", "in one"])
def rows(model, request, monkeypatch):
    """How many tokens' logits are in memory together."""
    monkeypatch.setattr(output_loss, "_LOGITS", request.param * len(model.codec.target))
    monkeypatch.setattr(output_loss, "_LOGITS_IN_CACHE", 4 * len(model.codec.target))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_torchs_cross_entropy(model, smoothing, rows):
    """The values, and the gradient of every weight."""
    batch, pad = batch_of(model, [1, 5, 9]), model.codec.target.pad
    weights = list(model.network.parameters())
    found = cross_entropy(model.network, batch, smoothing=smoothing, scale=0.25)
    logits = model.network(batch.source, batch.lengths, batch.inputs).flatten(0, 1)
    outputs = batch.outputs.flatten()
    wanted = F.cross_entropy(
        logits, outputs, ignore_index=pad, reduction="sum", label_smoothing=smoothing
    )
    nll = F.cross_entropy(logits, outputs, ignore_index=pad, reduction="sum")
    torch.testing.assert_close((found.total * 4, found.nll), (wanted, nll), rtol=1e-9, atol=0)
    assert found.tokens == 1 + 5 + 9 + 3
    expected = torch.autograd.grad(wanted / 4 * 3, weights)
    for gradient, other in zip(
        torch.autograd.grad(found.total * 3, weights), expected, strict=True
    ):
        torch.testing.assert_close(gradient, other, rtol=1e-9, atol=1e-11)


def test_no_gradient_is_made_where_none_is_wanted(model):
    batch = batch_of(model, [3, 4])
    with torch.no_grad():
        found = cross_entropy(model.network, batch, smoothing=0.1)
    other = cross_entropy(model.network, batch, smoothing=0.1)
    torch.testing.assert_close((found.total, found.nll), (other.total, other.nll))
    assert not found.total.requires_grad


@pytest.mark.parametrize("lengths", [[1, 5, 9], [4, 4]], ids=["with padding", "without"])
def test_r_drop_draws_two_passes_together(model, rows, lengths):
    """Its value and the gradient of every weight, beside the formula written out; the two passes
    are two networks here, so that they differ without dropout."""
    batch, alpha = batch_of(model, lengths), 3.0
    weights = list(model.network.parameters())

    def blurred(module, arguments, output):  # the second half is what another draw has left
        half = len(output) // 2
        return torch.cat([output[:half], output[half:] * 0.9])

    with model.network.decoder.embedding.register_forward_hook(blurred):
        found = cross_entropy(model.network, batch, smoothing=0.1, scale=0.25, r_drop=alpha)
        both = loss.duplicate_batch(batch)
        logits = model.network(both.source, both.lengths, both.inputs).flatten(0, 1)
    one, other = (half[batch.target_index].log_softmax(dim=1) for half in logits.chunk(2))
    wanted = batch.outputs.flatten()[batch.target_index]
    likely = [
        F.cross_entropy(half, wanted, reduction="sum", label_smoothing=0.1) for half in (one, other)
    ]
    apart = ((one.exp() - other.exp()) * (one - other)).sum()
    expected = (sum(likely) / 2 + alpha / 2 * apart / 2) / 4
    assert apart > 1e-3
    torch.testing.assert_close(found.total, expected, rtol=1e-9, atol=0)
    nll = -(one + other).gather(1, wanted.unsqueeze(1)).sum() / 2
    torch.testing.assert_close(found.nll, nll, rtol=1e-9, atol=0)
    for gradient, reference in zip(
        torch.autograd.grad(found.total, weights),
        torch.autograd.grad(expected, weights),
        strict=True,
    ):
        torch.testing.assert_close(gradient, reference, rtol=1e-8, atol=1e-11)


def test_bf16_is_as_near_as_its_products_are(model):
    """What smoothing and the wanted token add to the gradient is as exact as in fp32."""
    torch.manual_seed(0)
    n, V, E = 40, 5000, 64
    r = torch.randn(n, E).bfloat16().float()  # as the layer below gives it
    weight, bias = torch.randn(V, E) / 8, torch.randn(V) / 8
    wanted = torch.randint(V, (n,))
    parts = [part.requires_grad_() for part in (r, weight, bias)]
    exact = F.cross_entropy(r @ weight.T + bias, wanted, label_smoothing=0.1)
    with torch.autocast("cpu", torch.bfloat16):
        settings = output_loss.OutputSettings(torch.bfloat16, 0.1, 1 / n, 0.0, learning=True)
        total, _ = output_loss.OutputLoss.apply(*parts, torch.arange(n), wanted, settings)
    torch.testing.assert_close(total, exact, rtol=2e-3, atol=0)
    for one, other in zip(
        torch.autograd.grad(total, parts), torch.autograd.grad(exact, parts), strict=True
    ):
        assert (one - other).norm() < 1e-3 * other.norm()


def test_padding_adds_nothing(model):
    gradients = []
    for extra in (0, 6):
        model.network.zero_grad()
        loss = cross_entropy(model.network, batch_of(model, [2, 7], extra=extra), smoothing=0.1)
        loss.total.backward()
        gradients.append((loss.total, [p.grad for p in model.network.parameters()]))
        assert loss.tokens == 11
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


def test_word_dropout_blanks_words_at_its_rate_and_nothing_else(model):
    target = model.codec.target
    batch = batch_of(model, [400, 300], extra=5)
    torch.manual_seed(1)
    noisy = apply_word_dropout(batch, 0.3, target.eos, (target.unk, target.unk))
    for before, after in ((batch.source, noisy.source), (batch.inputs, noisy.inputs)):
        words = before > target.eos
        assert torch.equal(before[~words], after[~words])
        changed = before != after
        assert (after[changed] == target.unk).all()
        assert 0.2 < float(changed[words].double().mean()) < 0.4
    assert torch.equal(noisy.outputs, batch.outputs)
    assert torch.equal(noisy.lengths, batch.lengths)
    assert apply_word_dropout(batch, 0.0, target.eos, (target.unk, target.unk)) is batch
