"""The loss against torch's own, padding, and word dropout."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seq2seq.models.folder import load
from seq2seq.text.batching import Batch, pad_source
from seq2seq.training.objective import cross_entropy, with_word_dropout


@pytest.fixture(scope="module")
def model(trained):
    model = load(trained / "model")
    model.network.double()
    return model


def batch_of(model, lengths, seed=0, extra=0):
    """Random ids; `extra` columns of padding on both sides."""
    random = np.random.default_rng(seed)
    target = model.tokenizers.target
    draw = [random.integers(300, len(target), (2, n)) for n in lengths]
    source, sizes = pad_source([ids[0] for ids in draw], target.pad, target.eos)
    outputs, _ = pad_source([ids[1] for ids in draw], target.pad, target.eos)
    inputs = torch.cat([torch.full((len(lengths), 1), target.bos), outputs[:, :-1]], dim=1)
    inputs = inputs.masked_fill(inputs == target.eos, target.pad)
    padded = [F.pad(part, (0, extra), value=target.pad) for part in (source, inputs, outputs)]
    return Batch(np.arange(len(lengths)), padded[0], sizes, padded[1], padded[2])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_torchs_cross_entropy(model, smoothing):
    batch, pad = batch_of(model, [1, 5, 9]), model.tokenizers.target.pad
    found = cross_entropy(model.network, batch, pad=pad, smoothing=smoothing)
    logits = model.network(batch.source, batch.lengths, batch.inputs).float().flatten(0, 1)
    for total, epsilon in ((found.total, smoothing), (found.nll, 0.0)):
        wanted = F.cross_entropy(
            logits,
            batch.outputs.flatten(),
            ignore_index=pad,
            reduction="sum",
            label_smoothing=epsilon,
        )
        torch.testing.assert_close(total, wanted, rtol=1e-5, atol=0)
    assert found.tokens == 1 + 5 + 9 + 3


def test_padding_adds_nothing(model):
    pad = model.tokenizers.target.pad
    gradients = []
    for extra in (0, 6):
        model.network.zero_grad()
        loss = cross_entropy(
            model.network, batch_of(model, [2, 7], extra=extra), pad=pad, smoothing=0.1
        )
        loss.total.backward()
        gradients.append((loss.total, [p.grad for p in model.network.parameters()]))
        assert loss.tokens == 11
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-6)


def test_word_dropout_blanks_words_at_its_rate_and_nothing_else(model):
    target = model.tokenizers.target
    batch = batch_of(model, [400, 300], extra=5)
    torch.manual_seed(1)
    noisy = with_word_dropout(batch, 0.3, target.eos, (target.unk, target.unk))
    for before, after in ((batch.source, noisy.source), (batch.inputs, noisy.inputs)):
        words = before > target.eos
        assert torch.equal(before[~words], after[~words])
        changed = before != after
        assert (after[changed] == target.unk).all()
        assert 0.2 < float(changed[words].double().mean()) < 0.4
    assert torch.equal(noisy.outputs, batch.outputs)
    assert torch.equal(noisy.lengths, batch.lengths)
    assert with_word_dropout(batch, 0.0, target.eos, (target.unk, target.unk)) is batch
