"""The weights of a network in a safetensors file.

A file of weights may come from a stranger. Its header is compared with the network first, so a file
that does not fit the network uses no time and no memory.
"""

from __future__ import annotations

import errno
import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch.overrides import TorchFunctionMode

from seq2seq.checked_files import file_size
from seq2seq.errors import UserError

# Increase this number when the networks compute different results from the same weights.
_WEIGHTS_VERSION = "3"
_HEADER_BYTES = 1 << 20  # a network of 100 layers needs 300 kB
_DTYPES = {torch.float32: "F32", torch.float64: "F64"}  # names of safetensors


def save_weights(path: Path, network: torch.nn.Module) -> None:
    """Write all weights of a network as safetensors. Tied weights are written once.

    Raises OSError if the file cannot be written.
    """
    # On a GPU, the weights of a cuDNN layer share one block of memory. safetensors would mistake
    # them for tied weights, so copy them to the CPU.
    weights = {name: weight.detach().cpu() for name, weight in network.named_parameters()}
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)  # the permissions that the umask allows
    try:
        safetensors.torch.save_file(weights, str(path), metadata={"seq2seq": _WEIGHTS_VERSION})
    except SafetensorError as error:
        raise OSError(errno.EIO, f"cannot be written: {error}", str(path)) from None
    path.chmod(mode)  # safetensors 0.8 makes the file readable by its owner only


def load_weights(path: Path, network: torch.nn.Module) -> None:
    """Load the weights in a safetensors file into a network.

    Raises UserError if the file is damaged, belongs to another version of the networks, does not
    match the network's weights, or contains NaN or infinite numbers. Raises OSError if the file
    cannot be read.
    """
    check_weights(path, network)
    try:
        with safe_open(str(path), "pt") as file, torch.no_grad():
            every = dict(network.named_parameters(remove_duplicate=False))
            for name in file.keys():  # noqa: SIM118
                weight = every[name]
                weight.copy_(file.get_tensor(name))
                # The sum of finite numbers may overflow, but it is fast to compute.
                if not weight.sum().isfinite() and not weight.isfinite().all():
                    raise UserError(
                        f"{path}: the tensor {name!r} contains NaN or infinite numbers; use an "
                        "earlier version of the model, or train the model again"
                    )
    except SafetensorError as error:
        raise _invalid(path, error) from None


def check_weights(path: Path, network: torch.nn.Module) -> None:
    """Check that the header of a safetensors file fits the weights of a network.

    The network may come from `shapes_only`. Raises UserError and OSError as
    `load_weights` does.
    """
    header = _read_header(path, network)
    version = header.pop("__metadata__", {}).get("seq2seq", "1")
    if version != _WEIGHTS_VERSION:
        raise UserError(
            f"{path}: the weights belong to version {version} of seq2seq's networks, but the "
            f"installed seq2seq has version {_WEIGHTS_VERSION}; train the model again, or use the "
            "version of seq2seq that saved the model"
        )
    every = dict(network.named_parameters(remove_duplicate=False))
    # The file holds tied weights under only one of their names.
    filled = {id(every[name]) for name in header if name in every}
    wrong = [name for name in header if name not in every]
    wrong += [name for name, weight in every.items() if id(weight) not in filled]
    if wrong:
        raise _unfit(path, f"missing or unexpected: {', '.join(wrong)}")
    for name, entry in header.items():
        if entry["dtype"] != _DTYPES.get(every[name].dtype):
            raise UserError(
                f"{path}: the tensor {name!r} has the data type {entry['dtype']}, but the network "
                f"needs {_DTYPES.get(every[name].dtype)}; convert the weights, or copy the model "
                "folder again"
            )
        if entry["shape"] != list(every[name].shape):
            shape = list(every[name].shape)
            raise _unfit(path, f"{name} has the shape {entry['shape']}, but needs {shape}")


def _read_header(path: Path, network: torch.nn.Module) -> dict[str, Any]:
    """Return the header of a safetensors file. Each tensor has a dtype, a shape and offsets."""
    size = file_size(path)
    numbers = sum(weight.numel() for weight in network.parameters())
    if size > 8 + _HEADER_BYTES + 8 * numbers:
        raise _unfit(path, f"the file has {size:,} bytes, but the network has {numbers:,} weights")
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_HEADER_BYTES, size):
            raise _invalid(path, f"the header has {length:,} bytes")
        content = file.read(length)
    try:
        header = json.loads(content)
        ends = [8 + length]
        for name, entry in header.items():
            if name == "__metadata__":
                entry.get("seq2seq")
                continue
            begin, end = entry["data_offsets"]
            ends.append(8 + length + end)
            if not 0 <= begin <= end or type(entry["dtype"]) is not str:
                raise ValueError(f"the header has a wrong entry for the tensor {name!r}")
            entry["shape"] = list(entry["shape"])
        if max(ends) != size:
            raise ValueError(f"the file has {size:,} bytes, but its header describes {max(ends):,}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _invalid(path, error) from None
    return dict(header)


def _invalid(path: Path, problem: object) -> UserError:
    detail = " ".join(str(problem).split())[:200]
    return UserError(
        f"{path}: the file is not a valid safetensors file ({detail}); copy the model folder again"
    )


def _unfit(path: Path, problem: str) -> UserError:
    return UserError(
        f"{path}: the weights do not fit config.toml ({problem[:200]}); copy the model folder again"
    )


class _WithoutValues(TorchFunctionMode):
    """A PyTorch mode that skips the in-place functions that fill tensors, such as `zero_`.

    PyTorch runs these functions on the device "meta" with code that takes two seconds to import.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Call a function of PyTorch, unless its name says that it changes a tensor in place."""
        named = kwargs or {}
        if function.__name__.endswith("_") and not function.__name__.startswith("_"):
            return args[0] if args else named["tensor"]
        return function(*args, **named)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Build networks in the `with` block without memory for their weights."""
    with torch.device("meta"), _WithoutValues():
        yield
