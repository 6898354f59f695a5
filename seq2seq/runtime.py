"""Select the device, the precision and the number of threads of PyTorch."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seq2seq.errors import OutOfMemoryError, UserError, is_out_of_memory
from seq2seq.system import keep_freed_memory as keep_freed_memory
from seq2seq.system import usable_cores as usable_cores

# oneDNN compiles a program for every new shape of an LSTM's input. By default, it keeps the last
# 1,024 programs of about 0.2 MB each, so the memory of a long translation would grow for minutes.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


def _use_one_thread() -> None:
    torch.set_num_threads(1)


# A forked child has no copy of the parent's OpenMP threads, so it would wait for them forever.
os.register_at_fork(after_in_child=_use_one_thread)


def select_device(name: str) -> torch.device:
    """Return the device with this name. `auto` selects a GPU if there is one, otherwise the CPU.

    This function also turns off TF32 in cuDNN, which would make fp32 less precise. Raises UserError
    if this machine does not have the device.
    """
    # With TF32, cuDNN rounds factors to ten bits of mantissa, so fp32 would not mean fp32.
    torch.backends.cudnn.allow_tf32 = False
    # This warning does not help: with bf16 or weight dropout, every call has new weight tensors.
    warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(name)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError):
        there = ["cpu"] + [f"cuda:{i}" for i in range(torch.cuda.device_count())]
        raise UserError(
            f"device {name!r} is not available; set training.device or --device to a device of "
            f"this machine: {', '.join(there)}"
        ) from None
    return chosen


def select_dtype(name: str, chosen: torch.device) -> torch.dtype:
    """Return the dtype of matrix products on the device `chosen`.

    Args:
        name: `fp32`, `bf16` or `auto`. `auto` selects bf16 if the processor supports it.
        chosen: The device.

    Raises UserError if `name` is `bf16` and the processor does not support it.
    """
    if name == "fp32":
        return torch.float32
    if chosen.type == "cuda":
        has = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = bool(torch.cpu._is_avx512_bf16_supported()) if chosen.type == "cpu" else False
    if name == "bf16" and not has:
        raise UserError(
            f"the device {chosen} does not support precision 'bf16'; set training.precision or "
            "--precision to fp32 or auto"
        )
    return torch.bfloat16 if has else torch.float32


@contextmanager
def explain_out_of_memory(advice: str) -> Iterator[None]:
    """Turn an error of the `with` block that means too little memory into OutOfMemoryError.

    advice: What the user can do. The message ends with this text.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not is_out_of_memory(error):
            raise
        where = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "this process"
        detail = " ".join(str(error).split()).split(". ")[0][:200]
        raise OutOfMemoryError(
            f"{where} is out of memory ({detail or 'MemoryError'}): {advice}"
        ) from None


def autocast(chosen: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Return a context manager under which matrix products are computed in bf16.

    If `dtype` is float32, the context manager has no effect.
    """
    return torch.autocast(chosen.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


def matmul_dtype(weight: torch.Tensor) -> torch.dtype:
    """Return the dtype in which a matrix product with `weight` is computed.

    This is the dtype of autocast if autocast is on, otherwise the dtype of `weight`.
    """
    kind = weight.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype


def row_multiple(weight: torch.Tensor, dtype: torch.dtype) -> int:
    """Return a number m. The number of rows of a matrix product is padded to a multiple of m.

    m is 64 for bf16 on a CPU, and 1 (no padding) otherwise. On a CPU, the library oneDNN computes
    bf16 products and compiles a kernel for every new shape. A kernel takes half a millisecond to
    compile and half a megabyte of memory, and oneDNN keeps a thousand kernels. Nearly every batch
    of text has a new shape, so padding the rows saves time and memory.

    Args:
        weight: The weight matrix. Only its device matters.
        dtype: The dtype of the product.
    """
    oneDNN = weight.device.type == "cpu" and dtype == torch.bfloat16
    return 64 if oneDNN else 1


def set_threads(count: int) -> int:
    """Set the number of threads for matrix products, and return the number in use.

    If `count` is 0, use the environment variable OMP_NUM_THREADS. If this variable is not set, use
    one thread per core. If torchrun started several processes, the processes share the cores
    equally.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    # OMP_NUM_THREADS may be a list such as "4,2", one number per level of nested loops.
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    # torchrun sets OMP_NUM_THREADS=1 by default, so under torchrun a 1 is not the user's choice.
    if not count and re.fullmatch("[1-9][0-9]{0,3}", wanted) and (wanted != "1" or processes == 1):
        count = int(wanted)
    torch.set_num_threads(count or max(1, usable_cores() // processes))
    return torch.get_num_threads()
