"""Read the input of a command from a column of a table instead of lines of text."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def input_column(model: Path) -> str | int:
    """Return the column of a table that a model reads: a name or a number.

    The column is the source column of the training data, or the text column of a language model. A
    TSV or CSV file has a header unless the column is a number.
    """
    from seq2seq.decoding.load import load_any_config
    from seq2seq.text.memory import data_columns

    return data_columns(load_any_config(model).data).source


@contextmanager
def open_column(path: Path, model: Path) -> Iterator[IO[bytes]]:
    """Yield the column of a table that a model reads, and its features, as a file of lines.

    Every line of a TSV, CSV or JSON Lines file gives a line, also a blank line and a row without
    features, as in a text file. The lines are in a temporary file, which takes as much disk space
    as the columns.
    Raises UserError for a table that cannot be read and for a missing column of the source.
    """
    from seq2seq.decoding.load import load_any_config
    from seq2seq.text.features import write_source
    from seq2seq.text.memory import data_columns, feature_columns
    from seq2seq.text.references import feature_side
    from seq2seq.text.tables import read_input_table

    config = load_any_config(model)
    side, columns = feature_side(config.data), data_columns(config.data)
    if side is not None:
        columns = feature_columns(side, config.features)
    else:
        columns = columns._replace(target=columns.source)
    with tempfile.TemporaryFile() as file:
        for source, features in read_input_table(
            path, columns._replace(key=""), config.data.quoting
        ):
            if side is not None:
                source = source.replace("\t", " ")  # the tab before the features
                source = write_source(source, [] if features is None else [features])
            file.write(source.encode() + b"\n")
        file.seek(0)
        yield file


def conllu_columns(model: Path) -> tuple[str, str]:
    """Return the CoNLL-U columns that a tagger reads and writes.

    These are the columns of its training data. If these are not columns of CoNLL-U, the result is
    "form" for the words and "upos" for the tags.
    """
    from seq2seq.decoding.load import load_any_config
    from seq2seq.text.conllu import CONLLU_COLUMNS, WRITABLE_COLUMNS
    from seq2seq.text.memory import data_columns

    source, target, *_ = data_columns(load_any_config(model).data)
    return (
        str(source) if source in CONLLU_COLUMNS else "form",
        str(target) if target in WRITABLE_COLUMNS else "upos",
    )
