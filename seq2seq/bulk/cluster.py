"""Connect to a Ray cluster, or start one on this machine."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from seq2seq.errors import UserError
from seq2seq.system import usable_cores

_log = logging.getLogger(__name__)

_STARTS = 3  # attempts to start a cluster on this machine
_STORE = 100 << 20  # bytes of shared memory, which only hold messages


@contextmanager
def open_cluster(address: str | None, cores: int) -> Iterator[dict[str, float]]:
    """Connect to a cluster, or start one on this machine, while the block runs.

    Yields the resources of the cluster: "CPU" is the number of cores, "GPU" the number of GPUs. If
    the program has already called `ray.init`, that cluster is used and is not shut down at the end.

    address: the address of a cluster, or None to start one.
    cores: the number of cores for a new cluster. 0 uses all cores of this machine.

    Raises UserError if Ray is not installed, cannot start, or cannot reach the cluster.
    """
    # Ray reports statistics on its use to its makers unless this variable is 0.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise UserError(
            "bulk translation needs the package ray: run pip install 'seq2seq-rnn[bulk]'"
        ) from None

    if ray.is_initialized():
        yield ray.cluster_resources()
        return
    settings: dict[str, Any] = {
        "log_to_driver": False,  # the results carry all messages for the user
        "logging_level": logging.ERROR,
    }
    if address is None:
        settings |= {
            "address": "local",
            "num_cpus": cores or usable_cores(),
            "include_dashboard": False,
            "object_store_memory": _STORE,
        }
    else:
        settings["address"] = address
    _connect(ray, settings)
    try:
        with redirect_stdout(_DebugLog()):
            yield ray.cluster_resources()
    finally:
        ray.shutdown()


def _connect(ray: Any, settings: dict[str, Any]) -> None:
    """Call `ray.init`. Raises UserError if it fails."""
    local = settings["address"] == "local"
    # Ray gives a machine 30 seconds to start its processes, which a busy machine may exceed.
    for tries_left in reversed(range(_STARTS if local else 1)):
        try:
            ray.init(**settings)
            return
        except Exception as error:  # of many types, also a plain Exception
            ray.shutdown()
            if tries_left:
                _log.debug("Ray could not start: %s", error)
                continue
            reason = " ".join(str(error).split())[:200]
            if local:
                raise UserError(f"Ray cannot start on this machine: {reason}") from None
            raise UserError(
                f"the Ray cluster at {settings['address']!r} cannot be reached: {reason}; check "
                "--address, RAY_ADDRESS and RAY_AUTH_MODE, and that `ray start` started the cluster"
            ) from None


class _DebugLog(io.TextIOBase):
    """A replacement of `sys.stdout` that sends all text to the log, at level DEBUG.

    Ray prints a long text to stdout for each dead worker. The text does not help users, because it
    does not name the file that the worker was translating.
    """

    def write(self, text: str) -> int:
        if text.strip():
            _log.debug("%s", text.strip())
        return len(text)
