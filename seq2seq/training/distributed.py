"""Data-parallel training in several processes, which torchrun starts on one or more machines.

A process is called a rank. All ranks plan the same batches. Each rank trains on its share of the
sentences of every batch. DistributedDataParallel (Li et al. 2020) averages the gradients, so that
all ranks keep the same weights. Only rank 0 writes files. Without torchrun, a run has only rank 0.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from seq2seq.errors import UserError

T = TypeVar("T")

# The time after which a rank that does not respond counts as lost. A dead rank is noticed at once.
_PATIENCE = timedelta(seconds=50)
# The longest time that ranks wait for the rank that prepares the data.
_PREPARING = timedelta(days=2)
# Words in the error messages of gloo, NCCL and torch's store that mean that a rank is lost.
_LOST = ("gloo", "NCCL", "Connection", "connection", "Timed out", "timed out", "TCPStore")


@dataclass(frozen=True)
class Ranks:
    """This process and the group of processes that train together.

    rank: number of this process in the group, counted from 0.
    world_size: number of processes in the group.
    local_rank: number of this process on its machine, counted from 0.
    gradients: process group that averages the gradients; None for the default process group.
    patient: process group with a timeout of days, used to wait while the data is prepared.
    """

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    gradients: dist.ProcessGroup | None = None
    patient: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process is rank 0. Only rank 0 writes files and shows progress."""
        return self.rank == 0

    def shard(self, items: Sequence[T] | np.ndarray | torch.Tensor) -> Any:
        """Return every `world_size`-th item, starting at `rank`.

        Neighbours in a sorted batch have similar lengths, so all ranks get equal work.
        """
        return items[self.rank :: self.world_size]

    def gather_shards(self, share: list[T]) -> list[T]:
        """Undo `shard`: return the items of all ranks in their original order.

        share: the items of this rank.
        """
        shares = self.all_gather(share)
        return [
            shares[i % self.world_size][i // self.world_size] for i in range(sum(map(len, shares)))
        ]

    def gather_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """Undo `shard`: return the rows of all ranks in their original order, on the CPU.

        rows: the rows of this rank, [n, ...]. The result has the rows of all ranks, [N, ...].
        """
        return torch.stack(self.gather_shards(list(rows.cpu())))

    def all_gather(self, value: T) -> list[T]:
        """Return a list of the values of all ranks, in the order of the ranks, on every rank."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """Return the value of rank 0 on every rank."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def all_reduce(self, *numbers: float) -> list[float]:
        """Return the sum of each number over all ranks, bit-identical on every rank."""
        if self.world_size == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(summed)
        return list(summed.tolist())

    def data_parallel(self, module: nn.Module) -> nn.Module:
        """Wrap the module so that each backward pass averages the gradients over the ranks."""
        if self.world_size == 1:
            return module
        return DistributedDataParallel(
            module,
            gradient_as_bucket_view=True,
            process_group=self.gradients,
        )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Return a context in which each rank accumulates gradients without averaging them.

        module: a module that `data_parallel` returned.
        """
        return nullcontext() if self.world_size == 1 else module.no_sync()  # type: ignore[operator]

    @contextmanager
    def sequentially(self) -> Iterator[None]:
        """Run the body of the `with` statement on some ranks before others.

        Rank 0 goes first, then the first rank of every other machine, then all remaining ranks. If
        the machines share a folder, the later ranks can reuse the files that rank 0 has written.
        """
        turn = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self._barrier()
        yield
        for _ in range(2 - turn):
            self._barrier()

    def _barrier(self) -> None:
        # Not monitored_barrier, which applies the timeout on rank 0 only.
        if self.world_size > 1:
            dist.barrier(group=self.patient)

    def require_equal(self, value: object, what: str) -> None:
        """Raise UserError on all ranks unless `value` is the same on every rank.

        what: the name of the value for the error message.
        """
        values = self.all_gather(value)
        for rank, rank_value in enumerate(values):
            if rank_value != values[0]:
                raise UserError(
                    f"rank {rank} has a different {what} than rank 0; start all ranks with the "
                    "same files and the same command"
                )


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """Connect to the other ranks that torchrun started, and yield the `Ranks` of this process.

    If torchrun did not start this process, yield the `Ranks` of a single process.
    device: the device of this rank.
    Raise UserError if the connection to another rank is lost.
    """
    if not dist.is_torchelastic_launched():
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    lost = False
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if rank:
        logging.getLogger().setLevel(logging.WARNING)
    try:
        # All values except gradients are exchanged over gloo, so no rank waits for a GPU.
        dist.init_process_group("gloo", timeout=_PATIENCE)
        gradients = None
        if device.type == "cuda":
            gradients = dist.new_group(backend="nccl", timeout=_PATIENCE)
        patient = dist.new_group(backend="gloo", timeout=_PREPARING)
        yield Ranks(rank, world_size, local_rank(), gradients, patient)
        dist.barrier()  # no rank leaves while another still communicates
    except RuntimeError as error:  # errors of NCCL and of the store are subclasses
        if world_size == 1 or not any(sign in str(error) for sign in _LOST):
            raise
        # torchrun notices the lost rank too and sends SIGTERM to this process. The signal is
        # ignored, so that the error message appears first. The process group is not left, because
        # that might wait for the lost rank.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        lost = True
        raise UserError(
            f"rank {rank} has lost the connection to another rank, so the run ends here; resume "
            f"from the last checkpoint with --resume ({str(error).splitlines()[0][:200]})"
        ) from error
    finally:
        if dist.is_initialized() and not lost:
            dist.destroy_process_group()


def local_rank() -> int:
    """Return the number of this process on its machine, from 0.

    Return 0 if torchrun did not start this process.
    """
    return int(os.environ.get("LOCAL_RANK", 0))
