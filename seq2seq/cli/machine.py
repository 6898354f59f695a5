"""Set up the machine for a command that runs a model."""

from __future__ import annotations

from seq2seq.cli.options import model_folders
from seq2seq.decoding.machine import use_threads


def set_up_machine(models: str, threads: int) -> None:
    """Set the number of threads and the memory settings for a command that runs models.

    threads: the number of threads. With 0, the function `use_threads` chooses the number.
    """
    use_threads(model_folders(models)[0], threads)
