"""Find the data sets that a model was trained on."""

from __future__ import annotations

import logging
from pathlib import Path

from seq2seq.config import toml
from seq2seq.config.data_paths import are_names_of, find_data
from seq2seq.config.data_section import DataConfig
from seq2seq.config.schema import Config
from seq2seq.errors import UserError

_log = logging.getLogger(__name__)


def find_model_data(folder: Path, config: Config) -> DataConfig:
    """Return the data sets of a model's configuration, with their paths on this machine.

    If the folder is inside the run folder of its training, use the paths that the training read. If
    it is elsewhere, or a file no longer exists at its path, search for the file's name in the
    folder and then in the folder `$SEQ2SEQ_DATA`.

    folder: A model folder or an export.
    """
    beside = folder.resolve().parent / "config.toml"
    made_with = None
    try:
        run = toml.read_config(beside)
        if are_names_of(config.data, run.data):
            made_with = run.data
    except (OSError, UserError):
        pass  # the folder is not in a run folder
    source = f"the paths in {beside}" if made_with else "their names"
    _log.debug("%s: finding the data sets by %s", folder, source)
    return find_data(config.data, folder, made_with)
