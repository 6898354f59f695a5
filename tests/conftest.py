"""What all tests share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """The networks here are tiny: one thread is the fastest, and leaves the other cores alone."""
    torch.set_num_threads(1)
