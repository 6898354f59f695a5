"""The loss with class weights: against torch's own, and against the loss without weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from seq2seq.models.folder import load_model
from seq2seq.models.loss import cross_entropy
from seq2seq.models.weighted_loss import weighted_cross_entropy
from seq2seq.text.batching import collate_examples
from seq2seq.text.dataset import Dataset, encode_examples
from seq2seq.text.example import Example

_TEXTS = {
    "classify": [Example("the cat", "A"), Example("a dog", "B"), Example("red", "C")],
    "tag": [Example("the red cat", "A B C"), Example("dog", "B"), Example("a cat", "A A")],
}


@pytest.fixture(params=sorted(_TEXTS))
def model_and_batch(request, models):
    model = load_model(models[request.param])
    model.network.double()
    dataset = Dataset.in_memory(encode_examples(_TEXTS[request.param], model.codec))
    return model, collate_examples(dataset, np.arange(3), model.codec)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("r_drop", [0.0, 3.0])
def test_equal_weights_change_nothing(model_and_batch, smoothing, r_drop):
    model, batch = model_and_batch

    def gradients(loss):
        return torch.autograd.grad(loss.total, model.network.output.weight)

    ones = torch.ones(3, dtype=torch.float64)
    results = []
    for compute in (cross_entropy, lambda *args, **kw: weighted_cross_entropy(*args, ones, **kw)):
        torch.manual_seed(1)
        model.network.train()  # with dropout, so that the two passes of R-Drop differ
        results.append(
            compute(model.network, batch, smoothing=smoothing, scale=0.25, r_drop=r_drop)
        )
    plain, weighted = results
    torch.testing.assert_close((weighted.total, weighted.nll), (plain.total, plain.nll))
    torch.testing.assert_close(gradients(weighted), gradients(plain))
    assert weighted.tokens == plain.tokens


def test_it_is_torchs_weighted_cross_entropy(model_and_batch):
    model, batch = model_and_batch
    weights = torch.tensor([0.5, 2.0, 7.0], dtype=torch.float64)
    found = weighted_cross_entropy(model.network, batch, weights, scale=0.25)
    logits = model.network.output(model.network.readouts(batch, None)[0])
    logits = logits.flatten(0, -2)[batch.target_index]
    wanted = batch.outputs.flatten()[batch.target_index]
    expected = F.cross_entropy(logits, wanted, weight=weights, reduction="sum") / 4
    torch.testing.assert_close(found.total, expected)
    torch.testing.assert_close(found.nll, F.cross_entropy(logits, wanted, reduction="sum"))
