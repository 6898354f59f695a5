"""Set up the machine for a command that runs a model."""

from __future__ import annotations

from seq2seq.cli.options import model_folders
from seq2seq.export.artifact import is_export
from seq2seq.system import keep_freed_memory


def set_up_machine(models: str, threads: int) -> None:
    """Set the number of threads for the models, and how the C library keeps memory. threads: 0
    chooses a number: one for an export, whose lines are shared among processes, and as
    `runtime.set_threads` does for PyTorch."""
    keep_freed_memory()
    if is_export(model_folders(models)[0]):
        from seq2seq.export import sessions

        sessions.set_thread_count(threads or 1)
        return
    from seq2seq import runtime

    runtime.set_threads(threads)
