"""One update: accumulation, clipping, what is not finite, the moving average."""

import copy
import dataclasses

import pytest
import safetensors.torch
import torch

from seq2seq.errors import UserError
from seq2seq.models.folder import build_model
from seq2seq.text import preparation
from seq2seq.text.batching import collate_examples
from seq2seq.training import trainer
from seq2seq.training.run_training import train_model
from seq2seq.training.train_step import TrainStep


@pytest.fixture(scope="module")
def prepared(toy, tmp_path_factory):
    return preparation.prepare_data(toy.config(), tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture
def learner(toy, prepared):
    def make(*settings):
        config = toy.config(*settings)
        torch.manual_seed(3)
        model = build_model(config, prepared.codec)
        model.network.double()
        return TrainStep(model, config.training, torch.device("cpu"), torch.float32)

    return make


@pytest.fixture
def batch(prepared):
    def make(*rows):
        import numpy as np

        return collate_examples(prepared.train, np.array(rows), prepared.codec)

    return make


def update(learner, batches, rate, number):
    """An update of which this process has all batches."""
    return learner.update(batches, sum(len(batch.target_index) for batch in batches), rate, number)


def weights(learner):
    return [p.detach().clone() for p in learner.network.parameters()]


def test_two_batches_together_are_one_twice_the_size(learner, batch):
    """The mean is over tokens, so batches of unequal sizes must not weigh alike."""
    apart, together = (
        learner("training.label_smoothing=0.1"),
        learner("training.label_smoothing=0.1"),
    )
    for number in (1, 2):
        one = update(apart, [batch(0, 1, 2), batch(7)], 0.01, number)
        other = update(together, [batch(0, 1, 2, 7)], 0.01, number)
        assert one.rows.tolist() == other.rows.tolist()
        torch.testing.assert_close(one.nll, other.nll, rtol=1e-5, atol=0, check_dtype=False)
        torch.testing.assert_close(one.norm, other.norm, rtol=1e-4, atol=0)
    torch.testing.assert_close(weights(apart), weights(together), rtol=1e-4, atol=1e-5)


def test_the_gradient_is_clipped_and_its_norm_told_unclipped(learner, batch):
    norms = {}
    for clip in (0.0, 0.05, 1e9):
        one = learner(f"training.clip={clip}")
        told = float(update(one, [batch(0, 1)], 0.0, 1).norm)
        left = torch.cat([p.grad.flatten() for p in one.network.parameters()]).norm()
        norms[clip] = (told, float(left))
    told = norms[0.0][0]
    assert told > 0.05
    assert norms[0.0] == norms[1e9] == (told, pytest.approx(told))
    assert norms[0.05] == (told, pytest.approx(0.05, rel=1e-3))


def test_the_average_follows_by_its_formula(learner, batch):
    one = learner("training.ema_decay=0.5")
    expected = weights(one)
    for number in range(1, 13):
        update(one, [batch(number)], 0.01, number)
        decay = min(0.5, (1 + number) / (10 + number))
        expected = [
            decay * e + (1 - decay) * w for e, w in zip(expected, weights(one), strict=True)
        ]
    assert decay == 0.5  # both of its branches were met
    torch.testing.assert_close([p.detach() for p in one.ema.parameters()], expected)
    assert one.validated_network is one.ema
    plain = learner()
    assert plain.ema is None
    assert plain.validated_network is plain.network


_PLAIN = (
    *("encoder.dropout=0.1", "encoder.embedding_dropout=0.1"),
    *("decoder.dropout=0.1", "decoder.embedding_dropout=0.1"),
    *("encoder.layers=2", "decoder.layers=2"),
    *("context.kind=cosine", "context.pooling=attentive", "decoder.tied=none"),
)


def after_two_updates(learner, batch, *settings):
    one = learner(*_PLAIN, *settings)
    torch.manual_seed(7)
    for number in (1, 2):
        update(one, [batch(0, 1, 2)], 0.01, number)
    return [p.detach() for p in one.validated_network.parameters()]


@pytest.mark.parametrize(
    "changed",
    [
        *("encoder.cell=lstm", "encoder.layers=1", "encoder.bidirectional=false"),
        *("encoder.layer_norm=true", "encoder.variational=true", "encoder.embedding=16"),
        *("encoder.hidden=16", "encoder.dropout=0.3", "encoder.embedding_dropout=0.3"),
        *("context.kind=additive", "context.placement=classic", "context.shortcut=false"),
        *("context.pooling=mean", "context.heads=2", "context.size=48"),
        *("decoder.cell=lstm", "decoder.layers=1", "decoder.layer_norm=true"),
        *("decoder.variational=true", "decoder.hidden=48", "decoder.dropout=0.3"),
        *("decoder.embedding=16", "decoder.embedding_dropout=0.3"),
        *("decoder.tied=output", "decoder.tied=all"),
        *("training.r_drop=3", "training.label_smoothing=0.2", "training.word_dropout=0.5"),
        *("training.betas=[0.5,0.6]", "training.weight_decay=0.5", "training.optimizer=sgd"),
        *("training.clip=0.01", "training.ema_decay=0.9"),
    ],
)
def test_every_setting_of_the_network_and_of_an_update_counts(learner, batch, changed):
    """None is lost between the configuration and the weights; what each does, other tests hold."""
    plain, again = (after_two_updates(learner, batch) for _ in range(2))
    assert all(map(torch.equal, plain, again))
    other = after_two_updates(learner, batch, changed)
    shapes = [[p.shape for p in one] for one in (plain, other)]
    assert shapes[0] != shapes[1] or not all(map(torch.equal, plain, other))


@pytest.mark.parametrize("poison", ["weight", "infinite weight", "loss"])
def test_what_is_not_finite_is_refused_before_any_weight_changes(
    learner, batch, poison, monkeypatch
):
    one = learner("training.ema_decay=0.9")
    update(one, [batch(0)], 0.01, 1)
    if poison == "loss":
        from seq2seq.training import train_step as module

        plain = module.cross_entropy

        def poisoned(*arguments, **named):
            loss = plain(*arguments, **named)
            return dataclasses.replace(loss, total=loss.total * float("nan"))

        monkeypatch.setattr(module, "cross_entropy", poisoned)
    else:
        with torch.no_grad():
            one.network.decoder.readout.weight[0, 0] = (
                float("nan") if poison == "weight" else float("inf")
            )
    before = weights(one)
    state = copy.deepcopy(one.optimizer.state_dict())
    average = [p.detach().clone() for p in one.ema.parameters()]
    with pytest.raises(UserError, match=r"update 2: .* training pairs 5, 9. No weight was changed"):
        update(one, [batch(4, 8)], 0.01, 2)
    torch.testing.assert_close(weights(one), before, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(one.optimizer.state_dict(), state, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close([p.detach() for p in one.ema.parameters()], average, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("rate", "said"),
    [("1e38", "NaN or infinite"), ("1e30", "NaN or infinite"), ("nan at 4", "update 4: ")],
)
def test_no_checkpoint_and_no_model_holds_a_nan(toy, tmp_path, monkeypatch, no_picture, rate, said):
    """A run that blows up, validated and saved after every update."""
    settings = ["validation.every=1", "training.updates=8", "encoder.hidden=8", "training.warmup=0"]
    if rate[0] == "1":
        settings += [f"training.learning_rate={rate}", "validation.metric=loss"]
    else:
        plain = trainer.Trainer.update

        def poisoned(self, *arguments):
            if self.state.counters.update == 3:
                with torch.no_grad():
                    self.step.network.decoder.output.bias[5] = float("nan")
            plain(self, *arguments)

        monkeypatch.setattr(trainer.Trainer, "update", poisoned)
    with pytest.raises(UserError, match=said):
        train_model(toy.config(*settings), tmp_path / "run")
    for file in (tmp_path / "run").rglob("*.safetensors"):
        assert all(t.isfinite().all() for t in safetensors.torch.load_file(file).values())
    for file in (tmp_path / "run").rglob("optimizer.pt"):
        states = torch.load(file, weights_only=True)["state"].values()
        assert all(t.isfinite().all() for state in states for t in state.values())
    if rate[0] != "1":
        assert list((tmp_path / "run/checkpoints").glob("update-*3"))
