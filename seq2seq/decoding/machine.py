"""Set up the machine for a process that runs a model."""

from __future__ import annotations

from pathlib import Path

from seq2seq.export.artifact import is_export
from seq2seq.system import keep_freed_memory


def use_threads(folder: Path, threads: int) -> None:
    """Set the number of threads and the memory settings for a process that runs a model.

    folder: the model folder or the export.
    threads: the number of threads. With 0, a model folder gets the number that
        `runtime.set_threads` chooses, and an export gets one thread, because its lines are shared
        among processes.
    """
    keep_freed_memory(endless=True)
    if is_export(folder):
        from seq2seq.export import sessions

        sessions.set_thread_count(threads or 1)
        return
    from seq2seq import runtime

    runtime.set_threads(threads)
