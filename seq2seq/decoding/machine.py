"""Set up the machine for a process that runs a model."""

from __future__ import annotations

from pathlib import Path

from seq2seq.export.artifact import is_export
from seq2seq.system import keep_freed_memory


def use_threads(folder: Path, threads: int) -> None:
    """Set the number of threads for a model, and how the C library keeps memory.

    folder: the model folder or the export. threads: 0 chooses a number: one for an export, whose
    lines are shared among processes, and as `runtime.set_threads` does for PyTorch.
    """
    keep_freed_memory()
    if is_export(folder):
        from seq2seq.export import sessions

        sessions.set_thread_count(threads or 1)
        return
    from seq2seq import runtime

    runtime.set_threads(threads)
