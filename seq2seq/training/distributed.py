"""Many processes, on one machine or on several, started by torchrun: who shares what with whom.

Every rank plans the same global batches and takes its share of each one's sentences; gradients are
averaged by torch's DistributedDataParallel (Li et al. 2020), so that all ranks hold the same
weights. The first rank alone writes. A process that torchrun did not start is the only rank, and
shares with nobody.
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

# A rank that is lost without a sign is missed after this long; one that dies, at once.
_PATIENCE = timedelta(seconds=50)
# Others wait this long for the one that prepares the data.
_PREPARING = timedelta(days=2)
# What gloo, NCCL and torch's store say where another rank is gone.
_LOST = ("gloo", "NCCL", "Connection", "connection", "Timed out", "timed out", "TCPStore")


@dataclass(frozen=True)
class Ranks:
    """This process, `rank` of `world_size`, from 0; `local_rank`: its number on this machine;
    `gradients`: the group that averages them, where that is not the one that shares all else;
    `patient`: one that waits for days."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0
    gradients: dist.ProcessGroup | None = None
    patient: dist.ProcessGroup | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and speaks."""
        return self.rank == 0

    def shard(self, items: Sequence[T] | np.ndarray | torch.Tensor) -> Any:
        """Every `world_size`-th of the items: near in a sorted batch, so equal in length."""
        return items[self.rank :: self.world_size]

    def gather_shards(self, share: list[T]) -> list[T]:
        """The items of which each rank had its `shard`, in their order."""
        shares = self.all_gather(share)
        return [
            shares[i % self.world_size][i // self.world_size] for i in range(sum(map(len, shares)))
        ]

    def gather_rows(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows [N, ...] of which each rank had its `shard`, in their order, on the CPU."""
        return torch.stack(self.gather_shards(list(rows.cpu())))

    def all_gather(self, value: T) -> list[T]:
        """The value of each rank, on all ranks."""
        if self.world_size == 1:
            return [value]
        values: list[Any] = [None] * self.world_size
        dist.all_gather_object(values, value)
        return values

    def broadcast(self, value: T) -> T:
        """The first rank's value, on all ranks."""
        if self.world_size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def all_reduce(self, *numbers: float) -> list[float]:
        """The sum of each number over the ranks, the same on all of them to the bit."""
        if self.world_size == 1:
            return list(numbers)
        summed = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(summed)
        return list(summed.tolist())

    def data_parallel(self, module: nn.Module) -> nn.Module:
        """The module, its gradients averaged over the ranks in every backward pass."""
        if self.world_size == 1:
            return module
        return DistributedDataParallel(
            module,
            gradient_as_bucket_view=True,
            process_group=self.gradients,
        )

    def no_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Within it, the gradients of a module from `data_parallel` add up on each rank alone."""
        return nullcontext() if self.world_size == 1 else module.no_sync()  # type: ignore[operator]

    @contextmanager
    def sequentially(self) -> Iterator[None]:
        """Let the first rank of all do its work, then the first of each other machine, which finds
        it done where they share a folder, and then the rest."""
        turn = 0 if self.is_first else 1 if self.local_rank == 0 else 2
        for _ in range(turn):
            self._barrier()
        yield
        for _ in range(2 - turn):
            self._barrier()

    def _barrier(self) -> None:
        # Not monitored_barrier: its timeout is that of the first rank alone.
        if self.world_size > 1:
            dist.barrier(group=self.patient)

    def require_equal(self, value: object, what: str) -> None:
        """Raises UserError, on all ranks, where they do not agree on `value`."""
        values = self.all_gather(value)
        for rank, rank_value in enumerate(values):
            if rank_value != values[0]:
                raise UserError(
                    f"rank {rank} has another {what} than rank 0: give all of them the same "
                    "files and the same command"
                )


@contextmanager
def process_group(device: torch.device) -> Iterator[Ranks]:
    """The ranks that torchrun started, joined; this process alone where it started none.

    Raises UserError where another rank is lost.
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
        # What is not a gradient travels over gloo: no GPU has to be waited for.
        dist.init_process_group("gloo", timeout=_PATIENCE)
        gradients = None
        if device.type == "cuda":
            gradients = dist.new_group(backend="nccl", timeout=_PATIENCE)
        patient = dist.new_group(backend="gloo", timeout=_PREPARING)
        yield Ranks(rank, world_size, local_rank(), gradients, patient)
        dist.barrier()  # none leaves while another still speaks to it
    except RuntimeError as error:  # of gloo; NCCL's and the store's are of this kind too
        if world_size == 1 or not any(sign in str(error) for sign in _LOST):
            raise
        # torchrun, which misses that one too, ends this one by SIGTERM, and leaving the group may
        # wait for who is not there: it says why first.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        lost = True
        raise UserError(
            f"rank {rank} has lost another one, so the run ends here: go on from the last "
            f"checkpoint with --resume ({str(error).splitlines()[0][:200]})"
        ) from error
    finally:
        if dist.is_initialized() and not lost:
            dist.destroy_process_group()


def local_rank() -> int:
    """The number of this process among those of this machine; 0 where torchrun started none."""
    return int(os.environ.get("LOCAL_RANK", 0))
