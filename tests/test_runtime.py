"""What the machine is asked for."""

import pytest

from seq2seq import runtime


@pytest.mark.parametrize(
    ("count", "environment", "used"),
    [
        (0, {}, 6),
        (0, {"OMP_NUM_THREADS": "3"}, 3),
        (2, {"OMP_NUM_THREADS": "3"}, 2),
        (0, {"OMP_NUM_THREADS": "many"}, 6),
        (0, {"OMP_NUM_THREADS": "0"}, 6),
        (0, {"OMP_NUM_THREADS": "4,2"}, 4),
        (0, {"OMP_NUM_THREADS": "99999999999"}, 6),
        (0, {"OMP_NUM_THREADS": "1"}, 1),
        (0, {"OMP_NUM_THREADS": "4", "LOCAL_WORLD_SIZE": "2"}, 4),
        (0, {"OMP_NUM_THREADS": "1", "LOCAL_WORLD_SIZE": "2"}, 3),  # torchrun's own 1
        (0, {"LOCAL_WORLD_SIZE": "12"}, 1),
    ],
)
def test_threads(monkeypatch, count, environment, used):
    said = []
    monkeypatch.setattr(runtime, "usable_cores", lambda: 6)
    monkeypatch.setattr("torch.set_num_threads", said.append)
    for name in ("OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    runtime.set_threads(count)
    assert said == [used]
