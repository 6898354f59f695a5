"""ONNX Runtime sessions, one for each graph."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.errors import OutOfMemoryError, UserError, is_out_of_memory
from seq2seq.export.graph_check import check_graph

_WIDTH = 1 << 20  # the largest width of a state or of a table
_threads = 1  # of a session that does not name its own number


def set_thread_count(count: int) -> None:
    """Set the number of threads of all sessions that are opened later."""
    global _threads
    _threads = count


class Session:
    """A graph that is ready to run.

    inputs, outputs: the names of the inputs and outputs, in the order of the graph.
    """

    def __init__(self, path: Path) -> None:
        """Open a graph. Raises UserError if ONNX Runtime is missing or rejects the graph."""
        runtime = import_onnxruntime()
        check_graph(path)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = _threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has a class of its own for every kind of error
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{path}: ONNX Runtime cannot load the graph ({reason})") from None
        self._path = path
        self.inputs = [value.name for value in self._session.get_inputs()]
        self.outputs = [value.name for value in self._session.get_outputs()]

    def require(self, inputs: Iterable[str], outputs: Iterable[str]) -> None:
        """Raise UserError if the graph lacks one of these inputs or outputs."""
        for name, present in [
            *((name, self.inputs) for name in inputs),
            *((name, self.outputs) for name in outputs),
        ]:
            if name not in present:
                raise UserError(
                    f"{self._path}: the graph has no {name!r}, so it does not belong to this "
                    "export: export the model again"
                )

    def run(self, feeds: dict[str, Any], outputs: list[str] | None = None) -> list[np.ndarray]:
        """Run the graph and return its outputs.

        feeds: the inputs by name.
        outputs: the names of the outputs to return; None returns all.

        Raises OutOfMemoryError if there is too little memory. Raises UserError for a graph that
        seq2seq did not write.
        """
        try:
            result: list[np.ndarray] = self._session.run(outputs or self.outputs, feeds)
        except Exception as error:  # ONNX Runtime has a class of its own for every kind of error
            reason = " ".join(str(error).split())[:200]
            if is_out_of_memory(error):
                raise OutOfMemoryError(
                    f"this process is out of memory ({reason}): use a smaller batch size "
                    "(--batch-size) or a smaller beam (--beam)"
                ) from None
            raise UserError(
                f"{self._path}: ONNX Runtime cannot run this graph ({reason}); export the model "
                "again"
            ) from error
        return result

    def shape(self, name: str) -> tuple[Any, ...]:
        """Return the shape of an input: a number for each axis, or a letter if its size varies."""
        (value,) = (value for value in self._session.get_inputs() if value.name == name)
        return tuple(value.shape)

    def width(self, name: str) -> int:
        """Return the size of the second axis of a graph's input.

        Raises UserError if this size is not fixed.
        """
        shape = self.shape(name)
        if len(shape) == 2 and isinstance(shape[1], int) and 0 < shape[1] <= _WIDTH:
            return shape[1]
        raise UserError(
            f"{self._path}: the input {name!r} of the ONNX graph has the shape {shape}, which "
            "seq2seq never writes; export the model again"
        )


def has_fast_int8() -> bool:
    """Return whether the processor multiplies 8-bit integers fast. If unknown, return True."""
    fast = {"x86_64": "avx2", "aarch64": "asimddp"}.get(platform.machine())
    try:
        features = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return fast is None or fast in features.split()


def import_onnxruntime() -> Any:
    """Import ONNX Runtime. If it is missing, raise UserError with an installation hint."""
    # ONNX Runtime 1.32 sends reports about its use to Microsoft, unless this variable is set.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            "an exported model needs ONNX Runtime, which is not installed: run "
            "pip install 'seq2seq-rnn[onnx]'"
        ) from None
    return onnxruntime
