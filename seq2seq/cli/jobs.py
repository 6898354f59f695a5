"""Choose the number of processes that translate, and start these processes."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

from seq2seq.cli import line_io
from seq2seq.cli.options import model_folders
from seq2seq.errors import UserError
from seq2seq.export.artifact import is_export, open_exports
from seq2seq.system import usable_cores
from seq2seq.tasks import ALIGNED, TRANSLATION

if TYPE_CHECKING:
    from seq2seq.decoding.worker_pool import WorkerPool

_LARGE = 1 << 17  # bytes; a smaller file is done before a second process has started


def choose_jobs(models: str, source: IO[bytes], jobs: int, threads: int) -> int:
    """Return the number of processes that translate.

    jobs, threads: the values that the user set. 0 lets the program choose.

    Raises UserError for more than one job with a model on PyTorch, and for several jobs with
    several threads each.
    """
    if not is_export(model_folders(models)[0]):
        if jobs > 1:
            raise UserError(
                f"--jobs {jobs}: only an export can run as several jobs, and {models} is not an "
                "export; leave out --jobs, or export the model (seq2seq export)"
            )
        return 1
    if jobs > 1 and threads > 1:
        raise UserError(f"--jobs {jobs}: each job uses one thread; leave out --threads {threads}")
    if jobs or threads:
        return jobs or 1
    if not line_io.is_regular_file(source) or os.fstat(source.fileno()).st_size < _LARGE:
        return 1
    return usable_cores()


def open_pool(
    models: str, jobs: int, *, device: str, precision: str, threads: int, batch_size: int
) -> WorkerPool:
    """Check an export, or several for an ensemble, and start the processes that translate."""
    from seq2seq.decoding.worker_pool import WorkerPool

    folders = model_folders(models)
    open_exports(folders, (TRANSLATION, ALIGNED), device=device, precision=precision)
    return WorkerPool(folders, jobs, batch_size=batch_size)
