"""Where the time goes: every phase has a share, and together they are all of it."""

import re

import pytest

from seq2seq.training.profile import PHASES
from seq2seq.training.run_training import train_model


@pytest.mark.usefixtures("no_picture")
def test_every_phase_has_its_share(toy, tmp_path):
    settings = ("training.updates=45", "validation.every=0", "validation.metric=loss")
    train_model(toy.config(*settings), tmp_path / "run", profiled=True)
    text = (tmp_path / "run/profile.txt").read_text()
    shares = dict(re.findall(r"^(.+?)  +[\d.]+ +([\d.]+)%$", text, re.MULTILINE))
    assert list(shares) == [*PHASES, "the rest"]
    assert all(float(shares[phase]) > 0 for phase in PHASES)
    assert sum(map(float, shares.values())) == pytest.approx(100, abs=0.5)
    assert re.search(r"^aten::addmm +[\d.]+ +[\d.]+% +\d+$", text, re.MULTILINE)


@pytest.mark.usefixtures("no_picture")
def test_a_run_that_is_not_watched_says_nothing(toy, tmp_path):
    train_model(toy.config("training.updates=3", "validation.metric=loss"), tmp_path / "run")
    assert not (tmp_path / "run/profile.txt").exists()


@pytest.mark.usefixtures("no_picture")
@pytest.mark.parametrize(("updates", "watched"), [(20, 10), (10, 0), (4, 0)])
def test_a_short_run(updates, watched, toy, tmp_path, caplog):
    settings = (f"training.updates={updates}", "validation.every=0", "validation.metric=loss")
    train_model(toy.config(*settings), tmp_path / "run", profiled=True)
    if watched:
        assert (tmp_path / "run/profile.txt").read_text().startswith(f"{watched} updates, ")
    else:
        assert f"no profile: the run made {updates} updates" in caplog.text
