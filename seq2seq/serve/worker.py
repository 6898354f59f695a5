"""A worker process of the server. It opens all models and runs batches in two threads.

Each thread (lane) has its own pipe to the server. One thread is for short requests and one for long
ones, so a short text does not wait until a batch of long texts is finished.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from seq2seq.errors import UserError

_SWITCH = 0.001  # seconds after which a lane lets the other one run


def run_worker(
    pipes: Sequence[Connection], models: Mapping[str, Sequence[Path]], settings: Mapping[str, Any]
) -> None:
    """Open the models, and run batches until the server closes a pipe. Runs in a worker process.

    pipes: one for each thread. The first answer in the first pipe is a dictionary with the labels
        of each model, or an exception if a model cannot be opened.
    models: the folders of each model.
    settings: the arguments of `seq2seq.decoding.load.load`, and `threads`, the number of threads
        that compute.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # the server decides when to stop
        signal.signal(number, signal.SIG_IGN)
    logging.getLogger("seq2seq").setLevel(logging.ERROR)  # warnings quote the texts of users
    sys.setswitchinterval(_SWITCH)
    try:
        opened = _open_models(models, **settings)
        pipes[0].send(opened[1])
    except Exception as error:
        pipes[0].send(error if isinstance(error, UserError) else _portable(error))
        return
    for pipe in pipes[1:]:
        threading.Thread(target=_run_lane, args=(pipe, opened[0]), daemon=True).start()
    _run_lane(pipes[0], opened[0])


def _open_models(
    folders: Mapping[str, Sequence[Path]], *, threads: int, **settings: Any
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    from seq2seq.decoding.load import load
    from seq2seq.decoding.machine import use_threads
    from seq2seq.serve.operations import list_labels

    models: dict[str, Any] = {}
    for name, parts in folders.items():
        use_threads(parts[0], threads)
        models[name] = load(*parts, **settings)
    return models, {name: list_labels(model) for name, model in models.items()}


def _run_lane(pipe: Connection, models: Mapping[str, Any]) -> None:
    """Receive batches from a pipe and send back their results, until the server closes the pipe.

    An answer is a part of the results, or the exception that ended the batch. A batch ends with the
    last of its results. Only the verb "continue" has an unknown number of results; None ends it.
    """
    from seq2seq.serve.operations import perform

    while True:
        try:
            request = pipe.recv()
            if request is None:  # too late to stop a batch that is finished
                continue
            operation, items = request
            model = models[operation.model]
            try:
                for part in perform(model, operation, items, lambda: not pipe.poll()):
                    pipe.send(part)
                if operation.verb == "continue":
                    pipe.send(None)
            except Exception as error:
                pipe.send(error if isinstance(error, UserError) else _portable(error))
        except (EOFError, OSError):  # the server is gone
            os._exit(0)


def _portable(error: Exception) -> RuntimeError:
    """Return an exception that every process can unpickle, with the traceback in its message."""
    return RuntimeError("".join(traceback.format_exception(error)))
