"""The learning rate by hand, plateaus, and where a run ends."""

import math

import pytest

from seq2seq.config.training_sections import TrainingConfig
from seq2seq.training.schedule import (
    count_plateau,
    follows_clock,
    fraction_done,
    learning_rate,
    schedule_position,
    stop_reason,
)
from seq2seq.training.state import Counters


def settings(**values):
    return TrainingConfig(**{"learning_rate": 1.0, "warmup": 100, "epochs": 10, **values})


@pytest.mark.parametrize(
    ("schedule", "update", "done", "cuts", "wanted"),
    [
        *((name, 1, 0.0, 0, 0.01) for name in ("inverse-sqrt", "cosine", "plateau")),
        *((name, 50, 0.0, 0, 0.5) for name in ("inverse-sqrt", "cosine", "plateau")),
        ("inverse-sqrt", 100, 0.1, 0, 1.0),
        ("inverse-sqrt", 400, 0.1, 0, 0.5),
        ("cosine", 100, 0.0, 0, 1.0),
        ("cosine", 500, 0.5, 0, 0.5),
        ("cosine", 500, 1 / 3, 0, 0.75),
        ("cosine", 1000, 1.0, 0, 0.0),
        ("plateau", 5000, 0.9, 0, 1.0),
        ("plateau", 5000, 0.9, 3, 0.125),
    ],
)
def test_rates(schedule, update, done, cuts, wanted):
    rate = learning_rate(settings(schedule=schedule), update, done, cuts)
    assert rate == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("schedule", ["inverse-sqrt", "cosine", "plateau"])
def test_without_a_warm_up_the_first_rate_is_the_whole_one(schedule):
    assert learning_rate(settings(schedule=schedule, warmup=0), 1, 0.0, 0) == 1.0


def test_a_plateau_is_patience_validations_without_a_gain():
    config, counters = settings(plateau_patience=2), Counters()
    cuts = []
    for gained in (True, False, True, False, False, False, False, False):
        count_plateau(config, counters, gained)
        cuts.append(counters.cuts)
    assert cuts == [0, 0, 0, 0, 1, 1, 2, 2]


def test_the_nearest_limit_says_how_much_is_done():
    config = settings(epochs=4, updates=1000, minutes=10)
    counters = Counters(update=100, epoch=1, position=10, seconds=540)
    assert fraction_done(config, counters, 20, clock=False) == 1.5 / 4
    assert fraction_done(config, counters, 20, clock=True) == 0.9
    assert fraction_done(config, Counters(update=2000), 20, clock=False) == 1.0


@pytest.mark.parametrize(
    ("counters", "why"),
    [
        (Counters(epoch=3, update=999, seconds=599, waited=4), ""),
        (Counters(epoch=4), "4 epochs"),
        (Counters(update=1000), "1,000 updates"),
        (Counters(seconds=600), "10 minutes"),
        (Counters(waited=5), "no gain in 5 validations"),
    ],
)
def test_ends(counters, why):
    assert stop_reason(settings(epochs=4, updates=1000, minutes=10, patience=5), counters) == why


def test_patience_0_waits_for_ever():
    assert stop_reason(settings(patience=0), Counters(waited=10**6)) == ""
    assert math.isclose(learning_rate(settings(), 10**6, 0.5, 0), 0.01)


def test_cosine_follows_the_clock_where_minutes_are_the_only_limit():
    config = settings(schedule="cosine", epochs=None, minutes=10)
    assert follows_clock(config)
    counters = Counters(update=7, seconds=1e9)  # this rank's own count, which others do not have
    for seconds, done in ((0, 0), (150, 0.25), (600, 1), (700, 1)):
        assert schedule_position(config, counters, 20, seconds) == done
    assert learning_rate(config, 500, 0.5, 0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "values",
    [{"schedule": "cosine", "minutes": 10}, {"schedule": "inverse-sqrt", "minutes": 10}],
)
def test_no_other_run_follows_the_clock(values):
    config = settings(**values)
    assert not follows_clock(config)
    assert schedule_position(config, Counters(epoch=1, seconds=540), 20, 540) == 0.1
