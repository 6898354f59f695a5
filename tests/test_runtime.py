"""What is set for the whole process."""

import os

import pytest

from seq2seq import runtime

_CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@pytest.mark.parametrize("given", [None, "7"])
def test_fewer_programs_are_kept_unless_the_user_says_how_many(monkeypatch, given):
    monkeypatch.setenv(_CAPACITY, "0")  # so that what is set here is taken back
    if given is None:
        monkeypatch.delenv(_CAPACITY)
    else:
        monkeypatch.setenv(_CAPACITY, given)
    runtime.keep_memory()
    assert os.environ[_CAPACITY] == (given or "256")
