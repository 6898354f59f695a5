"""The machine: device, precision, threads, and the allocator."""

from __future__ import annotations

import ctypes
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seq2seq.errors import UserError


def _use_one_thread() -> None:
    torch.set_num_threads(1)


# A forked child has no copy of the parent's OpenMP threads, so it would wait for them forever.
os.register_at_fork(after_in_child=_use_one_thread)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next step instead of giving it back to the system.

    Given back, every large block is page-faulted in again, update after update: a third of the
    time of a small model's training. Does nothing where the C library is another one.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, malloc_trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError):
        return
    malloc_trim(0)  # what was freed so far is not wanted again
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 64 << 20)


def select_device(name: str) -> torch.device:
    """`auto` (a GPU if there is one) or a device's name. Raises UserError if it is not there."""
    # Else torch rounds what cuDNN's layers multiply to ten bits, and fp32 would not mean fp32.
    torch.backends.cudnn.allow_tf32 = False
    # It has nothing to advise: weights in bf16, or dropped, are new ones at every call.
    warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError):
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise UserError(
            f"device {name!r} is not there; this machine has: {', '.join(there)}"
        ) from None
    return chosen


def select_dtype(name: str, chosen: torch.device) -> torch.dtype:
    """`fp32`, `bf16`, or `auto`: bf16 where the processor multiplies in it, else fp32.

    Raises UserError where bf16 is asked for and the processor has none.
    """
    if name == "fp32":
        return torch.float32
    if chosen.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = bool(torch.cpu._is_avx512_bf16_supported()) if chosen.type == "cpu" else False
    if name == "bf16" and not has:
        raise UserError(f"precision 'bf16' is not there on {chosen}; use fp32 or auto")
    return torch.bfloat16 if has else torch.float32


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Within it, a GPU whose memory is full raises UserError, with the advice what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise UserError(f"out of memory ({str(error).split('. ')[0]}): {advice}") from None


def autocast(chosen: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Matrix products in bf16 if that is `dtype`; for fp32 it changes nothing."""
    return torch.autocast(chosen.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def matmul_dtype(weight: torch.Tensor) -> torch.dtype:
    """What the weight is multiplied in here and now: its own dtype, or autocast's."""
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def row_multiple(weight: torch.Tensor, dtype: torch.dtype) -> int:
    """What the rows of a product with the weight, in `dtype`, are to be a multiple of.

    oneDNN, which multiplies in bf16 on a CPU, compiles a program for every shape that it meets and
    keeps a thousand of them: half a millisecond and half a megabyte each. Text comes in as many
    shapes as batches; so the rows are rounded up there.
    """
    oneDNN = weight.device.type == "cpu" and dtype == torch.bfloat16
    return 64 if oneDNN else 1


def set_threads(count: int) -> int:
    """Use `count` threads for matrix products (0: OMP_NUM_THREADS, else one a core, the cores
    shared out where torchrun started several processes); gives the number in use."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]  # "4,2": of nested loops, too
    # A 1 is torchrun's, which says it to all that it starts where nothing else was said.
    if not count and re.fullmatch("[1-9][0-9]{0,3}", wanted) and (wanted != "1" or processes == 1):
        count = int(wanted)
    torch.set_num_threads(count or max(1, usable_cores() // processes))
    return torch.get_num_threads()


def usable_cores() -> int:
    """How many this process may use; where the system cannot say, how many there are."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1
