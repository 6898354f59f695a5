"""What differs on a GPU: cuDNN's layers, autocast's ideas of dtypes, updates that nobody waits for.

Skipped where there is none.
"""

import json
from pathlib import Path

import pytest
import torch

import seq2seq
from seq2seq import runtime
from seq2seq.models import folder
from seq2seq.models.loss import cross_entropy
from seq2seq.text import preparation
from seq2seq.training.distributed import Ranks
from seq2seq.training.epoch_batches import BatchPlanner
from seq2seq.training.run_training import train_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

_KINDS = {
    "fixed, gru": (),
    "fixed, lstm, all heads": (
        "decoder.cell=lstm",
        "encoder.cell=lstm",
        "context.pooling=attentive",
    ),
    "additive, classic": ("context.kind=additive", "context.placement=classic"),
    "dot, lstm, deep": ("context.kind=dot", "decoder.cell=lstm", "decoder.layers=2"),
    "general, rnn": ("context.kind=general", "encoder.cell=rnn", "decoder.cell=rnn-relu"),
    "multi-head, normalised": (
        "context.kind=multi-head",
        "encoder.layers=2",
        "encoder.layer_norm=true",
        "decoder.layers=2",
        "decoder.layer_norm=true",
    ),
}


@pytest.mark.parametrize("r_drop", [0.0, 2.0], ids=["once", "twice"])
@pytest.mark.parametrize("kind", _KINDS)
def test_loss_and_gradients_are_the_cpus(toy, tmp_path: Path, kind: str, r_drop: float) -> None:
    config = toy.config(*_KINDS[kind], "training.label_smoothing=0.1")
    prepared = preparation.prepare_data(config, tmp_path / "data")
    feed = BatchPlanner(config, prepared, Ranks())(0)
    batch = feed.collate(feed.plan[0])
    network = folder.build_model(config, prepared.codec).network  # nothing drops

    def found(device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        network.to(device).zero_grad()
        with runtime.autocast(device, dtype):
            loss = cross_entropy(network, batch.to(device), smoothing=0.1, r_drop=r_drop)
        loss.total.backward()
        gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        return loss.total.detach().cpu(), torch.cat(gradients).cpu()

    gpu = runtime.select_device("cuda")
    expected = found(torch.device("cpu"), torch.float32)
    for dtype, near in ((torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
        for one, other in zip(found(gpu, dtype), expected, strict=True):
            assert one.dtype == torch.float32
            assert (one - other).norm() <= near * other.norm()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["fixed, gru", "additive, classic", "multi-head, normalised"])
def test_it_learns_and_translates(toy, tmp_path: Path, kind: str, precision: str) -> None:
    settings = ("training.device=cuda", f"training.precision={precision}", *_KINDS[kind])
    train_model(toy.config(*settings, "decoder.dropout=0.1"), tmp_path / "run")
    model, wanted = tmp_path / "run" / "model", toy.lines("test.fr")
    for search in ({"beam": 1}, {"beam": 4}):
        said = {
            device: seq2seq.load(model, device=device).translate(toy.lines("test.en"), **search)
            for device in ("cuda", "cpu")
        }
        assert said["cuda"] == said["cpu"]
        assert sum(map(str.__eq__, said["cuda"], wanted)) > 0.8 * len(wanted)


def test_a_language_model_goes_on_from_the_state_that_it_left(toy, tmp_path: Path) -> None:
    settings = (
        "training.device=cuda",
        "training.precision=bf16",
        "training.ema_decay=0.9",
        "decoder.weight_dropout=0.2",
        "validation.every=7",
        "training.log_every=1",
    )

    def losses(run: Path) -> list[float]:
        rows = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        return [row["loss"] for row in rows]

    train_model(toy.language(*settings, "training.updates=20"), tmp_path / "whole")
    train_model(toy.language(*settings, "training.updates=10"), tmp_path / "parts")
    train_model(toy.language(*settings, "training.updates=20"), tmp_path / "parts", resume=True)
    whole, parts = losses(tmp_path / "whole"), losses(tmp_path / "parts")
    assert len(whole) < len(parts) + 2
    assert parts[-1] == pytest.approx(whole[-1], rel=0.02)
    assert whole[-1] < whole[0]
