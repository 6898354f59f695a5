"""Signals before and during training."""

import contextlib
import signal

import pytest

from seq2seq.training.stopping import catch_signals


@pytest.mark.parametrize(
    ("number", "raised"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, SystemExit),
        (signal.SIGHUP, SystemExit),
    ],
)
def test_a_signal_before_training_stops_at_once(number, raised):
    with catch_signals(), pytest.raises(raised):
        signal.raise_signal(number)


def test_a_signal_whose_exception_was_swallowed_is_not_lost():
    with catch_signals() as watch:
        # pyarrow swallows the exception while it imports pandas.
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            watch.start_training()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_training_is_collected_and_the_next_one_acts(number):
    before = signal.getsignal(number)
    with catch_signals() as watch:
        watch.start_training()
        signal.raise_signal(number)
        assert watch.caught == [number]
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catch_signals() as watch:
            signal.raise_signal(signal.SIGHUP)
            watch.start_training()
            assert watch.caught == []
    finally:
        signal.signal(signal.SIGHUP, before)
